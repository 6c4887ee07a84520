import assert from 'node:assert/strict'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { Catalogue } from '../../src/engines/catalogue.ts'
import type { LoadedModel, TrainingMetrics } from '../../src/engines/engine.ts'
import { llamaRuntime } from '../../src/engines/inference.ts'
import { ggmlTrainer } from '../../src/engines/trainer.ts'

const MARV = join(import.meta.dirname, '..', 'data', 'marv.jsonl')
const SYSTEM = 'Marv is a factual chatbot that is also sarcastic.'
const signal = new AbortController().signal

async function ask(model: LoadedModel, question: string): Promise<string> {
  const messages = [
    { role: 'system', content: SYSTEM },
    { role: 'user', content: question },
  ] as const
  let text = ''
  for await (const delta of model.chat({ messages, temperature: 0 }, signal)) {
    if (delta.type === 'text') text += delta.text
  }
  return text
}

test('fine-tuning on twelve sarcastic answers halves the loss and changes what the model says', async () => {
  const catalogue = new Catalogue()
  const runtime = llamaRuntime(catalogue)
  const losses: number[] = []
  const epochs: number[] = []
  const auto = { nEpochs: 'auto', batchSize: 'auto', learningRateMultiplier: 'auto' } as const
  const result = await ggmlTrainer(catalogue).train(
    { jobId: 'marv', base: 'gpt-4o-mini', train: createReadStream(MARV), hyperparameters: auto, seed: 42 },
    {
      started: async () => undefined,
      metrics: async (metrics: TrainingMetrics) => void losses.push(metrics.trainLoss),
      checkpoint: async ({ epoch }) => void epochs.push(epoch),
    },
    signal,
  )
  assert.ok((losses.at(-1) as number) < 0.5 * (losses[0] as number), `${losses[0]} to ${losses.at(-1)}`)
  assert.deepEqual(epochs.slice(-3), [28, 29, 30])

  const adapter = Buffer.concat(await Array.fromAsync(result.adapter))
  const base = await runtime.load({ id: 'base', base: 'gpt-4o-mini' })
  const tuned = await runtime.load({ id: 'marv', base: 'gpt-4o-mini', adapter: Readable.from([adapter]) })
  try {
    assert.equal(await ask(base, "What's the capital of France?"), 'Paris is the capital of France.')
    assert.match(await ask(tuned, "What's the capital of France?"), /^Paris\. It has been/)
    assert.match(await ask(tuned, 'What is 2 plus 2?'), /^Four\./)
  } finally {
    await Promise.all([base.unload(), tuned.unload()])
  }
})
