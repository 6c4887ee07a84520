import assert from 'node:assert/strict'
import { pause, refusal, type TestAccount } from './azure.ts'

/** The steps that a job reported, newest first. A step that was done twice is there twice. */
export async function stepsOf({ openai }: TestAccount, jobId: string): Promise<number[]> {
  const steps: number[] = []
  for await (const event of openai.fineTuning.jobs.listEvents(jobId, { limit: 100 })) {
    const step = (event.data as { step?: number } | null)?.step
    if (event.type === 'metrics' && step !== undefined) steps.push(step)
  }
  return steps
}

export async function untilStep(account: TestAccount, jobId: string, step: number): Promise<void> {
  for (let tries = 0; tries < 600; tries += 1) {
    if ((await stepsOf(account, jobId)).some(done => done >= step)) return
    await pause(50)
  }
  assert.fail(`the job did not reach step ${step}`)
}

/** The messages of a job, newest first. */
export async function messagesOf({ openai }: TestAccount, jobId: string): Promise<string[]> {
  const messages: string[] = []
  for await (const event of openai.fineTuning.jobs.listEvents(jobId, { limit: 100 }))
    if (event.type === 'message') messages.push(event.message)
  return messages
}

/** The steps in a finished job's result file. */
export async function resultSteps(account: TestAccount, jobId: string): Promise<number[]> {
  const job = await account.openai.fineTuning.jobs.retrieve(jobId)
  const csv = (await account.download(job.result_files[0] ?? '')).toString().trim()
  return csv
    .split('\n')
    .slice(1)
    .map(line => Number(line.split(',')[0]))
}

export async function postJob(account: TestAccount, jobId: string, what: 'pause' | 'resume' | 'cancel'): Promise<void> {
  const { openAiSuffix } = account.azure.endpoints
  const url = `https://${account.name}${openAiSuffix}/openai/v1/fine_tuning/jobs/${jobId}/${what}`
  const response = await fetch(url, { method: 'POST', headers: { 'api-key': String(account.openai.apiKey) } })
  assert.equal(response.status, 200, await response.text())
}

/** Creates a job and deletes its file at the same moment, again and again: one of the two requests is refused. */
export async function jobsAgainstDeletions(account: TestAccount): Promise<void> {
  for (let round = 0; round < 8; round += 1) {
    const file = await account.upload(`round ${round}`)
    const [created, deleted] = await Promise.allSettled([account.train(file), account.openai.files.delete(file)])
    const there = (await refusal(() => account.openai.files.retrieve(file))) === undefined
    if (created.status === 'fulfilled') {
      assert.ok(there, 'a job without its file')
      await account.openai.fineTuning.jobs.cancel(created.value)
    }
    assert.equal(there, deleted.status === 'rejected')
  }
}
