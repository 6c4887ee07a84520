import assert from 'node:assert/strict'
import { test } from 'node:test'
import { epochOrder, microBatches, resolveHyperparameters } from './training-batches.ts'

const AUTO = { nEpochs: 'auto', batchSize: 'auto', learningRateMultiplier: 'auto' } as const

test('auto gives small files many epochs and large files few', () => {
  assert.deepEqual(resolveHyperparameters(AUTO, 12), { nEpochs: 25, batchSize: 3, learningRateMultiplier: 1 })
  assert.deepEqual(resolveHyperparameters(AUTO, 2000), { nEpochs: 3, batchSize: 8, learningRateMultiplier: 1 })
})

test('given numbers are kept, a batch larger than the file apart', () => {
  const given = { nEpochs: 2, batchSize: 256, learningRateMultiplier: 0.5 }
  assert.deepEqual(resolveHyperparameters(given, 12), { ...given, batchSize: 12 })
})

test('each epoch has an order of its own that seed and epoch decide', () => {
  const order = epochOrder(50, 7, 1)
  assert.deepEqual(epochOrder(50, 7, 1), order)
  assert.notDeepEqual(epochOrder(50, 7, 2), order)
  assert.notDeepEqual(epochOrder(50, 8, 1), order)
  assert.deepEqual(
    order.toSorted((a, b) => a - b),
    Array.from({ length: 50 }, (_, index) => index),
  )
})

test('a step is split so that memory stays bounded and every learned token weighs the same', () => {
  const examples = [300, 20, 700, 30, 1000].map(length => ({
    ids: Array.from({ length }, (_, index) => index),
    rows: [length - 4, length - 3, length - 2],
  }))
  const batches = microBatches(examples)
  const weights = batches.flatMap(({ batch }) => [...batch.weights])
  assert.equal(weights.length, 15)
  assert.ok(weights.every(weight => Math.abs(weight - 1 / 15) < 1e-7))
  for (const { size, batch } of batches) {
    assert.ok(size.length * size.sequences <= 2048)
    assert.ok(batch.rows.length <= size.rows)
    for (const [index, row] of batch.rows.entries()) assert.equal(batch.targets[index], (batch.ids[row] as number) + 1)
  }
})
