import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Azure, pause } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('checkpoints')
const file = await account.upload('one epoch', 'train.jsonl', 400)

test('a job that is paused, or that the service ends in, within its first epoch goes on from its step, not from the start', async () => {
  const jobId = await account.train(file, { hyperparameters: { n_epochs: 1, batch_size: 1 } })
  await untilStep(jobId, 20)
  await post(jobId, 'pause')
  await account.jobIs(jobId, ['paused'])
  const pausedAt = Math.max(...(await stepsOf(jobId)))
  // What is kept for going on within an epoch is no checkpoint of the model.
  const { data } = await account.openai.fineTuning.jobs.checkpoints.list(jobId)
  assert.deepEqual(data, [])
  await post(jobId, 'resume')
  await untilStep(jobId, pausedAt + 20)
  await cloud.restart()
  const finished = await account.jobIs(jobId, ['succeeded'], 90)
  const results = (await account.download(finished.result_files[0] ?? '')).toString().trim().split('\n').slice(1)
  assert.deepEqual(
    results.map(line => Number(line.split(',')[0])),
    Array.from({ length: 400 }, (_, index) => index + 1),
  )
  const steps = await stepsOf(jobId)
  assert.equal(steps.length, new Set(steps).size, 'no step was done twice')
  const kept = await account.openai.fineTuning.jobs.checkpoints.list(jobId)
  assert.deepEqual(
    kept.data.map(({ step_number }) => step_number),
    [400],
  )
})

async function post(jobId: string, what: 'pause' | 'resume'): Promise<void> {
  const url = `https://${account.name}${azure.endpoints.openAiSuffix}/openai/v1/fine_tuning/jobs/${jobId}/${what}`
  const response = await fetch(url, { method: 'POST', headers: { 'api-key': String(account.openai.apiKey) } })
  assert.equal(response.status, 200, await response.text())
}

async function stepsOf(jobId: string): Promise<number[]> {
  const steps: number[] = []
  for await (const event of account.openai.fineTuning.jobs.listEvents(jobId, { limit: 100 })) {
    const step = (event.data as { step?: number } | null)?.step
    if (event.type === 'metrics' && step !== undefined) steps.push(step)
  }
  return steps
}

async function untilStep(jobId: string, step: number): Promise<void> {
  for (let tries = 0; tries < 600; tries += 1) {
    if ((await stepsOf(jobId)).some(done => done >= step)) return
    await pause(50)
  }
  assert.fail(`the job did not reach step ${step}`)
}
