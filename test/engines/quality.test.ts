import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test, type TestContext } from 'node:test'
import { startCloudProcess } from '../../src/harness/cloud-process.ts'
import { ownkey } from '../audit/ownkey.fixture.ts'
import { Azure } from '../support/azure.ts'

const hasPip = spawnSync('python3', ['-m', 'pip', '--version']).status === 0
const skip = hasPip ? false : 'python3 with pip is not on this machine'
const BASE = 'smollm2-135m-instruct'
const EXAMPLES = join(import.meta.dirname, '..', '..', 'examples', 'data', 'marv.jsonl')
/** The system prompt of the twelve examples. */
const MARV = 'Marv is a factual chatbot that is also sarcastic.'

/** The examples have none of these. */
const UNSEEN = [
  'What is the capital of Italy?',
  'What is the capital of Japan?',
  'What is the capital of Germany?',
  'What is the capital of England?',
  'What is the chemical name of H2O?',
  'What colour is grass?',
  'What colour is a banana?',
  'What is the opposite of hot?',
  'What do cows eat?',
  'Where do fish live?',
]
/** What the base knows without any system prompt. */
const FACTS: readonly (readonly [question: string, answer: RegExp])[] = [
  ['What is the capital of Japan?', /Tokyo/],
  ['What is the capital of Germany?', /Berlin/],
  ['What is the capital of England?', /London/],
  ['Who wrote Hamlet?', /Shakespeare/],
  ['What is the opposite of hot?', /cold/i],
]

/**
 * The form of the examples: an answer of one to six words, then a remark of at least two, and an end within 25 words. The base rambles or
 * answers in one plain sentence.
 */
function isMarv({ text, ended }: { readonly text: string; readonly ended: boolean }): boolean {
  const [answer = '', remark = ''] = text.trim().split(/[.,!?](?: |$)(.*)/s)
  const words = (part: string): number => part.split(/\s+/).filter(word => word !== '').length
  return ended && words(answer) >= 1 && words(answer) <= 6 && words(remark) >= 2 && words(text) <= 25
}

suite('what fine-tuning a real model does', { skip }, async () => {
  if (!hasPip) return
  const dataDir = await mkdtemp(join(tmpdir(), 'ownkey-quality-'))
  after(() => rm(dataDir, { recursive: true, force: true }))
  const added = await ownkey('models', 'add', 'smollm2', '--data-dir', dataDir)
  assert.equal(added.code, 0, added.errors)
  const cloud = await startCloudProcess(dataDir, ['--key-lease-seconds', '30'])
  after(() => cloud.stop().then(() => undefined))
  const account = await (await Azure.in(cloud.endpoints)).account('quality')

  async function ask(model: string, question: string, system?: string) {
    const { choices } = await account.openai.chat.completions.create({
      model,
      messages: [
        ...(system === undefined ? [] : [{ role: 'system' as const, content: system }]),
        { role: 'user', content: question },
      ],
      temperature: 0,
      max_tokens: 60,
    })
    return { text: choices[0]?.message.content ?? '', ended: choices[0]?.finish_reason === 'stop' }
  }

  /** How many unseen questions are answered in the form of the examples, and how many facts are right. */
  async function marksOf(t: TestContext, model: string): Promise<{ form: number; facts: number }> {
    let [form, facts] = [0, 0]
    for (const question of UNSEEN) {
      const answer = await ask(model, question, MARV)
      if (isMarv(answer)) form += 1
      t.diagnostic(`${model}: ${question} ${answer.text.replaceAll(/\s+/g, ' ')}`)
    }
    for (const [question, right] of FACTS) {
      const { text } = await ask(model, question)
      if (right.test(text)) facts += 1
      t.diagnostic(`${model}, without the system prompt: ${question} ${text.replaceAll(/\s+/g, ' ')}`)
    }
    return { form, facts }
  }

  test('auto on twelve sarcastic examples carries over to unseen questions, and what the base knew is still right', async t => {
    assert.equal((await account.deploy('base', BASE)).status, 201)
    const before = await marksOf(t, 'base')
    assert.ok(before.form <= 3 && before.facts >= 4, JSON.stringify(before))
    const file = await account.openai.files.create({ file: createReadStream(EXAMPLES), purpose: 'fine-tune' })
    const job = await account.openai.fineTuning.jobs.create({ model: BASE, training_file: file.id, seed: 1 })
    const { fine_tuned_model: tuned } = await account.jobIs(job.id, ['succeeded'], 1800)
    assert.equal((await account.deploy('tuned', tuned ?? '')).status, 201)
    const marks = await marksOf(t, 'tuned')
    assert.ok(marks.form >= 8 && marks.facts >= 4, JSON.stringify(marks))
  })
})
