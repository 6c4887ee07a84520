import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Azure } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { postJob, resultSteps, stepsOf, untilStep } from '../support/job-steps.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('checkpoints')
const file = await account.upload('one epoch', 'train.jsonl', 400)

test('a job that is paused within its first epoch goes on from its step, not from the start', async () => {
  const jobId = await account.train(file, { hyperparameters: { n_epochs: 1, batch_size: 1 } })
  await untilStep(account, jobId, 20)
  await postJob(account, jobId, 'pause')
  await account.jobIs(jobId, ['paused'])
  const pausedAt = Math.max(...(await stepsOf(account, jobId)))
  // An interim checkpoint within an epoch is not a checkpoint of the model.
  const { data } = await account.openai.fineTuning.jobs.checkpoints.list(jobId)
  assert.deepEqual(data, [])
  await postJob(account, jobId, 'resume')
  await untilStep(account, jobId, pausedAt + 20)
  await cloud.restart()
  await account.jobIs(jobId, ['succeeded'], 90)
  assert.deepEqual(
    await resultSteps(account, jobId),
    Array.from({ length: 400 }, (_, index) => index + 1),
  )
  const steps = await stepsOf(account, jobId)
  assert.equal(steps.length, new Set(steps).size, 'no step was done twice')
  const kept = await account.openai.fineTuning.jobs.checkpoints.list(jobId)
  assert.deepEqual(
    kept.data.map(({ step_number }) => step_number),
    [400],
  )
})

test('a pause in the middle of a long step keeps the step before it, without waiting for the step to end', async () => {
  // Each step takes seconds here, with 256 examples at once.
  const long = await account.upload('so many at once', 'long.jsonl', 1024)
  const jobId = await account.train(long, { hyperparameters: { n_epochs: 1, batch_size: 256 } })
  await untilStep(account, jobId, 1)
  await postJob(account, jobId, 'pause')
  await account.jobIs(jobId, ['paused'])
  await postJob(account, jobId, 'resume')
  await account.jobIs(jobId, ['succeeded'], 120)
  assert.deepEqual(await resultSteps(account, jobId), [1, 2, 3, 4])
  assert.deepEqual((await stepsOf(account, jobId)).toSorted(), [1, 2, 3, 4], 'no step was done twice')
})
