import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { Catalogue } from './catalogue.ts'
import { CHAT_TEMPLATE } from './chatml.ts'
import { ggmlTrainer } from './trainer.ts'

/** The embedded model with a template that wants question and answer in turn. */
function strictModel(folder: string): Catalogue {
  const embedded = new Catalogue().find('gpt-4o-mini')
  const bytes = readFileSync(embedded.path)
  const strict =
    "{% for m in messages %}{% if (m.role=='user')!=(loop.index0%2==0) %}{{ raise_exception('roles must alternate') }}{% endif %}{{ m.content+'<|im_end|>' }}{% endfor %}"
  bytes.write(strict.padEnd(CHAT_TEMPLATE.length), bytes.indexOf(CHAT_TEMPLATE))
  const path = join(folder, 'strict.gguf')
  writeFileSync(path, bytes)
  return new Catalogue({ models: [{ ...embedded, name: 'strict', path }] })
}

test('a conversation that the template of a base does not take fails as data that does not fit, and names its line', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ownkey-template-'))
  try {
    const lineOf = (...roles: string[]): string =>
      JSON.stringify({ messages: roles.map(role => ({ role, content: 'secret' })) })
    const lines = Array.from({ length: 12 }, (_, n) =>
      n === 3 ? lineOf('user', 'user', 'assistant') : lineOf('user', 'assistant'),
    )
    const nothing = async (): Promise<void> => undefined
    const hyperparameters = { nEpochs: 1, batchSize: 5, learningRateMultiplier: 1 }
    const train = Readable.from([Buffer.from(lines.join('\n'))])
    const training = ggmlTrainer(strictModel(folder), { threads: 1 }).train(
      { jobId: 'job', base: 'strict', train, hyperparameters, seed: 1 },
      { started: nothing, metrics: nothing, checkpoint: nothing },
      new AbortController().signal,
    )
    await assert.rejects(training, {
      name: 'TrainingDataUnfit',
      reason: 'jsonlValidationFailed',
      message:
        "Line 4 of the training file can't be used with this base. The chat template of this model does not take these messages: roles must alternate.",
    })
  } finally {
    rmSync(folder, { recursive: true })
  }
})
