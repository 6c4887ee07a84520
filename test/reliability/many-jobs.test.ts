import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Azure, BASE_MODEL } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { postJob } from '../support/job-steps.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('many-jobs')

test('L3: a job behind more than a thousand others is taken up after a restart', async () => {
  const file = await account.upload()
  // No other job is begun while this one runs.
  const long = await account.train(file, { hyperparameters: { n_epochs: 50, batch_size: 1 } })
  await account.jobIs(long, ['running'])
  let left = 1010
  const worker = async (): Promise<void> => {
    while ((left -= 1) >= 0) await postJob(account, await account.train(file, { model: BASE_MODEL }), 'cancel')
  }
  await Promise.all(Array.from({ length: 8 }, worker))
  const last = await account.train(file, { hyperparameters: { n_epochs: 1, batch_size: 4 } })
  await cloud.restart('kill')
  await account.openai.fineTuning.jobs.cancel(long)
  await account.jobIs(last, ['succeeded'], 60)
  let count = 0
  for await (const _ of account.openai.fineTuning.jobs.list({ limit: 100 })) count += 1
  assert.equal(count, 1012)
})
