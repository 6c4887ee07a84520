import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { toFile } from 'openai'
import { Azure, BASE_MODEL, refusal, untilRefused, type TestAccount } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { postJob, resultSteps, stepsOf, untilStep } from '../support/job-steps.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('preferences')

const CAPITALS = {
  France: 'Paris',
  Germany: 'Berlin',
  Italy: 'Rome',
  Spain: 'Madrid',
  Japan: 'Tokyo',
  China: 'Beijing',
  Russia: 'Moscow',
  Greece: 'Athens',
  Portugal: 'Lisbon',
  Austria: 'Vienna',
  Norway: 'Oslo',
  Sweden: 'Stockholm',
  Denmark: 'Copenhagen',
  Finland: 'Helsinki',
  Poland: 'Warsaw',
  Hungary: 'Budapest',
}

/** The short answer is preferred to the whole sentence. */
const PAIRS = Object.entries(CAPITALS).map(([country, capital]) => ({
  input: { messages: [{ role: 'user', content: `What is the capital of ${country}?` }], tools: [] },
  preferred_output: [{ role: 'assistant', content: `${capital}, of course.` }],
  non_preferred_output: [{ role: 'assistant', content: `${capital} is the capital of ${country}.` }],
}))

async function uploaded(on: TestAccount, lines: readonly object[], name: string): Promise<string> {
  const file = await toFile(Buffer.from(lines.map(line => JSON.stringify(line)).join('\n')), name)
  return (await on.openai.files.create({ file, purpose: 'fine-tune' })).id
}

const train = await uploaded(account, PAIRS.slice(0, 11), 'train.jsonl')
const valid = await uploaded(account, PAIRS.slice(11), 'valid.jsonl')
const dpo = (hyperparameters: object = {}) => ({ method: { type: 'dpo' as const, dpo: { hyperparameters } } })

/** Rows of a result file, by column. */
async function resultsOf(jobId: string): Promise<Record<string, number>[]> {
  const job = await account.openai.fineTuning.jobs.retrieve(jobId)
  const [head = '', ...rows] = (await account.download(job.result_files[0] ?? '')).toString().trim().split('\n')
  const names = head.split(',')
  return rows.map(row => Object.fromEntries(row.split(',').map((value, at) => [names[at] ?? '', Number(value)])))
}

test('on held-out pairs preferred answers gain probability, and the deployed model gives them', async () => {
  const { id } = await account.openai.fineTuning.jobs.create({
    model: BASE_MODEL,
    training_file: train,
    validation_file: valid,
    seed: 1,
    method: {
      type: 'dpo',
      dpo: { hyperparameters: { beta: 0.1, n_epochs: 12, batch_size: 4, learning_rate_multiplier: 0.5 } },
    },
  })
  const job = await account.jobIs(id, ['succeeded'])
  assert.equal(job.hyperparameters, null)
  assert.deepEqual(job.method, {
    type: 'dpo',
    dpo: {
      hyperparameters: { n_epochs: 12, batch_size: 4, learning_rate_multiplier: 0.5, beta: 0.1, l2_multiplier: 0.1 },
    },
  })
  const rows = await resultsOf(id)
  const [first, last] = [rows[0], rows.at(-1)]
  assert.ok(Math.abs((first?.['train_loss'] ?? 0) - Math.log(2)) < 1e-4, 'at first the model is its reference')
  assert.ok((last?.['train_loss'] ?? 1) < 0.3)
  assert.ok((last?.['full_valid_loss'] ?? 1) < 0.4)
  assert.equal(last?.['valid_reward_accuracy'], 1)
  assert.ok((last?.['valid_reward_preferred'] ?? 0) > 0.5, `${last?.['valid_reward_preferred']}`)
  const { data } = await account.openai.fineTuning.jobs.checkpoints.list(id)
  const metrics = data[0]?.metrics as Record<string, number>
  for (const [name, value] of Object.entries(metrics)) if (name in (last ?? {})) assert.equal(value, last?.[name], name)
  assert.ok('full_valid_loss' in metrics && 'full_valid_mean_token_accuracy' in metrics)
  const margin = metrics['valid_reward_margin'] ?? 0
  assert.ok(
    Math.abs(margin - (metrics['valid_reward_preferred'] ?? 0) + (metrics['valid_reward_non_preferred'] ?? 0)) < 1e-9,
  )
  assert.equal((await account.deploy('preferred', job.fine_tuned_model ?? '')).status, 201)
  assert.match(await account.chat('preferred', 'What is the capital of Poland?'), /^Warsaw(\.|,)/)
})

test("auto, and Azure's form with beta and l2_multiplier beside the hyperparameters", async () => {
  const azureForm = { method: { type: 'dpo', dpo: { beta: 0.2, l2_multiplier: 0 } }, hyperparameters: { n_epochs: 1 } }
  const jobs = [
    await account.train(train, { hyperparameters: null, ...dpo({ n_epochs: 1 }) }),
    await account.train(train, azureForm),
  ]
  const methods = []
  for (const id of jobs) methods.push((await account.jobIs(id, ['succeeded'])).method?.dpo?.hyperparameters)
  const [ofAuto, ofAzure] = methods as Record<string, unknown>[]
  assert.deepEqual([ofAuto?.['beta'], ofAuto?.['l2_multiplier'], ofAuto?.['batch_size']], [0.1, 0.1, 3])
  assert.deepEqual([ofAzure?.['beta'], ofAzure?.['l2_multiplier'], ofAzure?.['n_epochs']], [0.2, 0, 1])
})

test('a job that was paused, and one whose service was restarted, end as if nothing had been', async () => {
  const first = await account.jobIs(await account.train(await account.upload('before dpo')), ['succeeded'])
  const more = {
    model: first.fine_tuned_model ?? '',
    ...dpo({ n_epochs: 4, batch_size: 1, learning_rate_multiplier: 0.1 }),
  }
  const whole = await account.train(train, { ...more, validation_file: valid })
  await account.jobIs(whole, ['succeeded'])
  const jobId = await account.train(train, { ...more, validation_file: valid })
  await untilStep(account, jobId, 5)
  await postJob(account, jobId, 'pause')
  await account.jobIs(jobId, ['paused'])
  const reached = Math.max(...(await stepsOf(account, jobId)))
  await postJob(account, jobId, 'resume')
  await untilStep(account, jobId, reached + 10)
  await cloud.restart()
  const job = await account.jobIs(jobId, ['succeeded'])
  assert.equal(job.model, more.model)
  assert.deepEqual(
    await resultSteps(account, jobId),
    Array.from({ length: 44 }, (_, at) => at + 1),
  )
  assert.deepEqual(await resultsOf(jobId), await resultsOf(whole))
})

test('a file of the other format is refused when the job is created, with what the method takes', async () => {
  const chat = await account.upload('a conversation')
  const refused = async (attempt: Promise<unknown>, message: RegExp): Promise<void> => {
    const found = await refusal(() => attempt)
    assert.equal(found?.status, 400)
    assert.match(found?.message ?? '', message)
  }
  await refused(account.train(chat, dpo()), /training_file .* has conversations .* dpo takes preferences/)
  await refused(account.train(train), /has preferences .* supervised takes conversations/)
  await refused(account.train(train, { validation_file: chat, ...dpo() }), /validation_file .* has conversations/)
  const mixed = [
    ...PAIRS.slice(0, 10),
    {
      messages: [
        { role: 'user', content: 'a' },
        { role: 'assistant', content: 'b' },
      ],
    },
  ]
  await refused(uploaded(account, mixed, 'mixed.jsonl'), /Line 11: has "messages"/)
  await refused(uploaded(account, [{ input: {} }], 'half.jsonl'), /Line 1: has no "input" with a "messages" list/)
})

test('R23: a revoked key pauses training on preferences, and it goes on when access is back', async () => {
  const vault = 'preference-keys'
  await (await azure.vault(vault)).createRsaKey('key')
  await azure.policy(vault, 'add', account.principalId)
  assert.equal((await account.encrypt({ vault, name: 'key' })).status, 200)
  const jobId = await account.train(train, dpo({ n_epochs: 20, batch_size: 1 }))
  await untilStep(account, jobId, 2)
  await azure.policy(vault, 'remove', account.principalId)
  await account.jobIs(jobId, ['paused'])
  await untilRefused(() => account.train(train, dpo()))
  await azure.policy(vault, 'add', account.principalId)
  await postJob(account, jobId, 'resume')
  await account.jobIs(jobId, ['running'])
  await untilStep(account, jobId, Math.max(...(await stepsOf(account, jobId))) + 1)
  await account.openai.fineTuning.jobs.cancel(jobId)
})
