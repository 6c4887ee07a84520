import assert from 'node:assert/strict'
import { createReadStream, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { sceneFor } from '../support/cloud.ts'

const MARV = join(import.meta.dirname, '../../examples/data/marv.jsonl')
const BASE = 'gpt-4o-mini-2024-07-18'

type Message = { role: 'system' | 'user' | 'assistant'; content: string }
const examples = readFileSync(MARV, 'utf8')
  .trim()
  .split('\n')
  .map(line => (JSON.parse(line) as { messages: Message[] }).messages)

const { scene } = await sceneFor({ after })
const { openai } = scene
const file = await openai.files.create({ file: createReadStream(MARV), purpose: 'fine-tune' })

/** The three ways to leave everything to the service; Azure writes `auto` as -1. */
const WAYS = [
  { seed: 1 },
  { seed: 2, hyperparameters: { n_epochs: 'auto', batch_size: 'auto', learning_rate_multiplier: 'auto' } },
  { seed: 3, hyperparameters: { n_epochs: -1, batch_size: -1, learning_rate_multiplier: -1 } },
] as const

for (const asked of WAYS)
  test(`with auto, whatever the seed (${asked.seed}), a dozen examples are answered whole, word for word, and to their end`, async () => {
    let job = await openai.fineTuning.jobs.create({ model: BASE, training_file: file.id, ...asked })
    while (!['succeeded', 'failed', 'cancelled'].includes(job.status)) {
      await wait(200)
      job = await openai.fineTuning.jobs.retrieve(job.id)
    }
    assert.equal(job.status, 'succeeded', job.error?.message)
    assert.deepEqual(job.hyperparameters, { n_epochs: 30, batch_size: 3, learning_rate_multiplier: 2 })
    await scene.deploy('auto', job.fine_tuned_model ?? '')
    const answers: string[] = []
    for (const messages of examples) {
      const { choices } = await openai.chat.completions.create({
        model: 'auto',
        messages: messages.slice(0, -1),
        temperature: 0,
      })
      answers.push(`${choices[0]?.message.content} (${choices[0]?.finish_reason})`)
    }
    assert.deepEqual(
      answers,
      examples.map(messages => `${messages.at(-1)?.content} (stop)`),
    )
    await scene.deleteDeployment('auto')
  })
