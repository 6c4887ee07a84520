import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Azure, refusal, untilRefused, type TestAccount } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { postJob, untilStep } from '../support/job-steps.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('continued')
const file = await account.upload('and so on')

/** Trains to the end. @returns the job */
async function trained(on: TestAccount, fileId: string, more: object = {}) {
  return on.jobIs(await on.train(fileId, more), ['succeeded'])
}

async function firstLoss(jobId: string): Promise<number> {
  const job = await account.openai.fineTuning.jobs.retrieve(jobId)
  const [, first = ''] = (await account.download(job.result_files[0] ?? '')).toString().split('\n')
  return Number(first.split(',')[1])
}

const first = await trained(account, file, { hyperparameters: { n_epochs: 6, batch_size: 4 }, suffix: 'first' })
const model = first.fine_tuned_model ?? ''

test('a job goes on from a fine-tuned model, and from a checkpoint of one', async () => {
  const { data: kept } = await account.openai.fineTuning.jobs.checkpoints.list(first.id)
  const checkpoint = kept.at(-1)
  assert.ok(checkpoint)
  const from = [model, checkpoint.fine_tuned_model_checkpoint, checkpoint.id]
  const jobs = []
  for (const name of from) jobs.push(await trained(account, file, { model: name, suffix: 'second' }))
  const started = await firstLoss(first.id)
  const losses = await Promise.all(jobs.map(({ id }) => firstLoss(id)))
  assert.ok((losses[0] ?? 9) < 0.7 * started, `${started} on the base, then ${losses.join(', ')}`)
  // The checkpoint was trained less than the model, and is the same under both of its names.
  assert.ok((losses[1] ?? 0) > (losses[0] ?? 0))
  assert.equal(losses[1], losses[2])
  for (const [index, job] of jobs.entries()) {
    assert.equal(job.model, from[index])
    assert.match(job.fine_tuned_model ?? '', /^gpt-4o-mini-2024-07-18\.ft-[0-9a-f]{32}-second$/)
    const shown = (await account.openai.models.retrieve(job.fine_tuned_model ?? '')) as object
    assert.equal('trained_from' in shown && shown.trained_from, from[index])
  }
  assert.equal((await account.deploy('second', jobs[0]?.fine_tuned_model ?? '')).status, 201)
  assert.notEqual(await account.chat('second'), '')
})

test('R28: a model that an unfinished job starts from is not deleted: 409 names the job', async () => {
  const source = (await trained(account, file)).fine_tuned_model ?? ''
  const long = { model: source, hyperparameters: { n_epochs: 200, batch_size: 1 } }
  const jobId = await account.train(file, long)
  await untilStep(account, jobId, 5)
  await postJob(account, jobId, 'pause')
  await account.jobIs(jobId, ['paused'])
  const refused = await refusal(() => account.openai.models.delete(source))
  assert.equal(refused?.status, 409)
  assert.match(refused?.message ?? '', new RegExp(`${jobId}', which is paused.*cancel the job`, 'u'))
  await postJob(account, jobId, 'cancel')
  assert.equal((await account.openai.models.delete(source)).deleted, true)
  const gone = await refusal(() => account.train(file, long))
  assert.equal(gone?.status, 400)
  assert.match(gone?.message ?? '', /can't be fine-tuned here/)
})

test('of a job and the deletion of the model that it starts from, at the same moment, one is refused', async () => {
  for (let round = 0; round < 4; round += 1) {
    const source =
      (await trained(account, file, { hyperparameters: { n_epochs: 1, batch_size: 12 } })).fine_tuned_model ?? ''
    const [created, deleted] = await Promise.allSettled([
      account.train(file, { model: source }),
      account.openai.models.delete(source),
    ])
    const isThere = (await refusal(() => account.openai.models.retrieve(source))) === undefined
    assert.equal(isThere, deleted.status === 'rejected')
    assert.equal(created.status === 'fulfilled', isThere)
    if (created.status === 'fulfilled') await account.openai.fineTuning.jobs.cancel(created.value)
  }
})

test('a checkpoint of a job that has not ended is not started from, since it may be replaced', async () => {
  const jobId = await account.train(file, { hyperparameters: { n_epochs: 100, batch_size: 12 } })
  await untilStep(account, jobId, 12)
  await postJob(account, jobId, 'pause')
  await account.jobIs(jobId, ['paused'])
  const { data: kept } = await account.openai.fineTuning.jobs.checkpoints.list(jobId)
  const name = kept[0]?.fine_tuned_model_checkpoint ?? ''
  const refused = await refusal(() => account.train(file, { model: name }))
  assert.equal(refused?.status, 409)
  assert.equal(refused?.code, 'unexpectedEntityState')
  await postJob(account, jobId, 'cancel')
  await trained(account, file, { model: name, hyperparameters: { n_epochs: 1 } })
})

test("R27: no other account's model is started from", async () => {
  const other = await azure.account('elsewhere')
  const own = await other.upload('mine')
  const refused = await refusal(() => other.train(own, { model }))
  assert.equal(refused?.status, 400)
})

test('R23: a model under a revoked key is not started from, and is after access is back and the data key was replaced', async () => {
  const vault = 'continued-keys'
  await (await azure.vault(vault)).createRsaKey('key')
  await azure.policy(vault, 'add', account.principalId)
  assert.equal((await account.encrypt({ vault, name: 'key' })).status, 200)
  const jobId = await account.train(file, { model, hyperparameters: { n_epochs: 300, batch_size: 1 } })
  await untilStep(account, jobId, 2)
  await azure.policy(vault, 'remove', account.principalId)
  await account.jobIs(jobId, ['paused'])
  await untilRefused(() => account.train(file, { model }))
  await azure.policy(vault, 'add', account.principalId)
  await account.encrypt()
  await postJob(account, jobId, 'cancel')
  await trained(account, file, { model })
})
