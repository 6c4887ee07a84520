import assert from 'node:assert/strict'
import { closeSync, existsSync, openSync, readFileSync, readSync } from 'node:fs'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { Catalogue, EMBEDDED_BASE } from './catalogue.ts'
import { BaseUnavailable } from './failures.ts'
import { llamaRuntime } from './inference.ts'
import { ReceivedWeights, withHeader } from './sealed-weights.ts'
import { ggmlTrainer } from './trainer.ts'

const skip = process.platform === 'linux' ? false : 'memory files are of Linux'

test('received weights are read from memory, which is given back when they are closed', { skip }, () => {
  const weights = new ReceivedWeights()
  for (const part of ['first ', 'second']) weights.add(Buffer.from(part))
  const path = weights.pathOr('/nonexistent')
  assert.equal(readFileSync(path, 'utf8'), 'first second')
  weights.close()
  assert.equal(existsSync(path), false)
  assert.equal(weights.pathOr('/a/file.gguf'), '/a/file.gguf')
})

test('a sealed base that does not open any more is the operator`s to put back, so a job can wait for that', async () => {
  const openWeights = (): Promise<never> => Promise.reject(new Error('altered'))
  const catalogue = new Catalogue({ models: [{ ...EMBEDDED_BASE, name: 'sealed', openWeights }] })
  const nothing = async (): Promise<void> => undefined
  const sink = { started: nothing, metrics: nothing, checkpoint: nothing }
  const hyperparameters = { nEpochs: 1, batchSize: 5, learningRateMultiplier: 1 }
  const spec = { jobId: 'job', base: 'sealed', train: Readable.from([]), hyperparameters, seed: 1 }
  const signal = new AbortController().signal
  await assert.rejects(ggmlTrainer(catalogue).train(spec, sink, signal), BaseUnavailable)
  await assert.rejects(llamaRuntime(catalogue).load({ id: 'one', base: 'sealed' }), BaseUnavailable)
})

test('the longest header that a file may have is read of a sealed one too', { skip }, async () => {
  const bytes = 100 * 1024 * 1024
  async function* read(start = 0, end = bytes): AsyncGenerator<Uint8Array> {
    for (let at = start; at < end; at += 1024 * 1024) yield Buffer.alloc(Math.min(1024 * 1024, end - at), 7)
  }
  const last = await withHeader({ bytes, read, close: async () => undefined }, path => {
    const file = openSync(path, 'r')
    const byte = Buffer.alloc(1)
    readSync(file, byte, 0, 1, bytes - 1)
    closeSync(file)
    return byte[0]
  })
  assert.equal(last, 7)
})
