import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Hyperparameters } from './engine.ts'
import { epochOrder, largestPasses, microBatches, resolveHyperparameters } from './training-batches.ts'

const AUTO = { nEpochs: 'auto', batchSize: 'auto', learningRateMultiplier: 'auto' } as const

const resolved = (examples: number, tokens: number, wanted: Hyperparameters = AUTO, parameters = 1_600_000) =>
  resolveHyperparameters(wanted, { examples, tokens, parameters })

test('auto repeats a small file until it is learned, and trains a large one for a bounded number of tokens', () => {
  assert.deepEqual(resolved(12, 700), { nEpochs: 30, batchSize: 3, learningRateMultiplier: 2 })
  assert.deepEqual(resolved(70, 5000), { nEpochs: 30, batchSize: 8, learningRateMultiplier: 2 })
  assert.deepEqual(resolved(200, 15_000), { nEpochs: 10, batchSize: 8, learningRateMultiplier: 1 })
  assert.deepEqual(resolved(2000, 500_000), { nEpochs: 1, batchSize: 8, learningRateMultiplier: 1 })
  for (let examples = 1; examples < 5000; examples += 37) {
    const { nEpochs } = resolved(examples, examples * 70)
    assert.ok(nEpochs === 1 || nEpochs * examples * 70 <= 150_000)
  }
})

test('auto trains a model that knows much already for few epochs', () => {
  const large = (examples: number, tokens: number) => resolved(examples, tokens, AUTO, 135_000_000)
  assert.deepEqual(large(12, 700), { nEpochs: 7, batchSize: 3, learningRateMultiplier: 1 })
  assert.equal(large(20, 1200).nEpochs, 5)
  assert.equal(large(200, 15_000).nEpochs, 3)
  assert.equal(large(2000, 500_000).nEpochs, 1)
})

test('given numbers are kept, except a batch larger than the file', () => {
  const given = { nEpochs: 2, batchSize: 256, learningRateMultiplier: 0.5 }
  assert.deepEqual(resolved(12, 700, given), { ...given, batchSize: 12 })
  assert.deepEqual(resolved(12, 700, { ...AUTO, nEpochs: 30 }), {
    nEpochs: 30,
    batchSize: 3,
    learningRateMultiplier: 1,
  })
})

test('seed and epoch decide the order of examples in each epoch', () => {
  const order = epochOrder(50, 7, 1)
  assert.deepEqual(epochOrder(50, 7, 1), order)
  assert.notDeepEqual(epochOrder(50, 7, 2), order)
  assert.notDeepEqual(epochOrder(50, 8, 1), order)
  assert.deepEqual(
    order.toSorted((a, b) => a - b),
    Array.from({ length: 50 }, (_, index) => index),
  )
})

test('a step is split so that memory is bounded and every learned token weighs the same', () => {
  const examples = [300, 20, 700, 30, 1000].map(length => ({
    ids: Array.from({ length }, (_, index) => index),
    tokens: length,
    rows: [length - 4, length - 3, length - 2],
  }))
  const batches = microBatches(
    examples,
    examples.map(() => 1 / 15),
  )
  const weights = batches.flatMap(({ batch }) => [...batch.weights])
  assert.equal(weights.length, 15)
  assert.ok(weights.every(weight => Math.abs(weight - 1 / 15) < 1e-7))
  for (const { size, batch } of batches) {
    assert.ok(size.length * size.sequences <= Math.max(512, size.length))
    assert.ok(batch.rows.length <= size.rows)
    for (const [index, row] of batch.rows.entries()) assert.equal(batch.targets[index], (batch.ids[row] as number) + 1)
  }
})

test('what a training needs at most covers every pass of its batches, also of many short examples', () => {
  const example = (length: number, learned: number) => ({
    ids: Array.from({ length }, (_, index) => index),
    tokens: length,
    rows: Array.from({ length: learned }, (_, index) => index),
  })
  const many = (count: number, length: number, learned: number) =>
    Array.from({ length: count }, () => example(length, learned))
  for (const examples of [
    [example(270, 9), ...many(39, 250, 200)],
    [example(500, 10), ...many(39, 15, 14)],
    many(40, 16, 15),
    [example(1000, 999), ...many(20, 100, 30)],
  ]) {
    const most = largestPasses(examples, 40)
    const passes = microBatches(
      examples,
      examples.map(() => 1),
    )
    for (const { size } of passes) {
      const covers = most.filter(({ length, sequences }) => length * sequences >= size.length * size.sequences)
      assert.ok(covers.length > 0, `${size.sequences} of ${size.length} tokens`)
      assert.ok(most.some(({ rows }) => rows >= size.rows))
      assert.ok((most[0]?.length ?? 0) >= size.length)
    }
  }
})
