import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Azure, pause, type TestAccount } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after }, ['--jobs-at-once', '2'])
const azure = await Azure.in(cloud.endpoints)
const [many, one] = [await azure.account('many'), await azure.account('one')]
const [manyFile, oneFile] = [await many.upload(), await one.upload()]

/** Jobs that have ended, or are still to run. */
async function left(account: TestAccount): Promise<number> {
  const { data } = await account.openai.fineTuning.jobs.list()
  return data.filter(({ status }) => status !== 'succeeded').length
}

async function queue(): Promise<string> {
  for (let n = 0; n < 5; n++) await many.train(manyFile, { hyperparameters: { n_epochs: 4, batch_size: 1 } })
  return one.train(oneFile, { hyperparameters: { n_epochs: 1, batch_size: 4 } })
}

async function running(account: TestAccount): Promise<number> {
  const { data } = await account.openai.fineTuning.jobs.list()
  return data.filter(({ status }) => status === 'running').length
}

test('an account that queues five jobs does not hold up another, whose job is next', async () => {
  const job = await queue()
  let most = 0
  for (let jobs = -1; jobs !== 0;) {
    most = Math.max(most, (await running(many)) + (await running(one)))
    jobs = (await one.openai.fineTuning.jobs.retrieve(job)).status === 'succeeded' ? 0 : -1
    await pause(20)
  }
  // Two were running when it came, one of which had to end first.
  assert.ok((await left(many)) >= 2, 'the job of the other account came last')
  assert.equal(most, 2, '--jobs-at-once 2 runs two')
})

test('with one worker, the default, the other account is next too', async () => {
  for (const { id } of (await many.openai.fineTuning.jobs.list()).data)
    await many.openai.fineTuning.jobs.cancel(id).catch(() => undefined)
  await cloud.stop()
  const single = await cloudFor({ after })
  const other = await Azure.in(single.endpoints)
  const [a, b] = [await other.account('first'), await other.account('second')]
  const [aFile, bFile] = [await a.upload(), await b.upload()]
  for (let n = 0; n < 5; n++) await a.train(aFile)
  await b.jobIs(await b.train(bFile, { hyperparameters: { n_epochs: 1 } }), ['succeeded'])
  assert.ok((await left(a)) >= 3, `${await left(a)} of five are left`)
})
