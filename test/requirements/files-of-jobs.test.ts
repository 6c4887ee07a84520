import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Azure, refusal } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { jobsAgainstDeletions, postJob, untilStep } from '../support/job-steps.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('readers')

test('L1: a file that a job reads, or will go on to read, is not deleted: 409 names the job', async () => {
  const [train, valid] = [await account.upload('one', 'train.jsonl', 100), await account.upload('two', 'valid.jsonl')]
  const more = { validation_file: valid, hyperparameters: { n_epochs: 2, batch_size: 1 } }
  const jobId = await account.train(train, more)
  await untilStep(account, jobId, 10)
  const mustHold = async (status: string): Promise<void> => {
    for (const file of [train, valid]) {
      const refused = await refusal(() => account.openai.files.delete(file))
      assert.equal(refused?.status, 409)
      assert.match(refused?.message ?? '', new RegExp(`${jobId}', which is ${status}.*cancel the job`, 'u'))
    }
  }
  await mustHold('running')
  await postJob(account, jobId, 'pause')
  await mustHold('paused')
  await postJob(account, jobId, 'resume')
  await account.jobIs(jobId, ['succeeded'], 90)
  for (const file of [train, valid]) assert.equal((await account.openai.files.delete(file)).deleted, true)
})

test('of a job and the deletion of its file at the same moment one is refused', () => jobsAgainstDeletions(account))
