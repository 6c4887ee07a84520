import type { At } from './at.ts'
import { download, sha256 } from './data-operations.ts'
import { answerOf, chat, pathOf } from './engine-operations.ts'
import type { DeploymentItem, JobItem, JobState, MainAccount } from './model.ts'
import { bodyOf, must, type Outcome } from './session.ts'

type Look = Pick<At, 'session'>

interface Job {
  readonly id: string
  readonly status: string
  readonly suffix: string | null
  readonly fine_tuned_model: string | null
  readonly result_files: readonly string[]
  readonly error: unknown
}

const STATES: Readonly<Record<string, JobState>> = {
  pending: 'unfinished',
  running: 'unfinished',
  paused: 'paused',
  cancelled: 'cancelled',
  succeeded: 'succeeded',
}

async function listJobs({ session }: Look, account: MainAccount): Promise<Job[]> {
  const all: Job[] = []
  for (let after = ''; ;) {
    const page = bodyOf(await must(() => session.data('GET', account, `/fine_tuning/jobs?limit=100${after}`)))
    all.push(...(page.data as Job[]))
    if (page.has_more !== true) return all
    after = `&after=${all.at(-1)?.id}`
  }
}

/** Checks that every job was asked for and is in a possible state, and that its results are there and unchanged. */
export async function checkJobs(at: Look, account: MainAccount): Promise<string[]> {
  const wrong: string[] = []
  const byName = new Map((await listJobs(at, account)).map(job => [job.suffix ?? '', job]))
  const models = bodyOf(await must(() => at.session.data('GET', account, '/models'))).data as { id: string }[]
  for (const item of account.jobs) {
    const job = byName.get(item.name)
    byName.delete(item.name)
    if (job?.status === 'paused' && (await isByStarvation(at, account, job))) account.hadKeyTrouble = true
    wrong.push(...seeJob(account, item, job))
    item.file.isTraining = ['unfinished', 'paused'].includes(item.state.now ?? '')
    if (job?.status === 'succeeded') wrong.push(...(await checkResult(at, account, item, job)))
    if (item.result === undefined) continue
    const isHere = models.some(({ id }) => id === item.result?.model)
    wrong.push(...item.model.see(isHere ? 'here' : 'gone', `${account.name}: the model ${item.result.model}`))
  }
  for (const name of byName.keys()) wrong.push(`${account.name}: the job ${name} was never asked for`)
  account.hadKeyTrouble = false
  return wrong
}

/** With leases of one second, a busy machine can make the cloud's own vault too slow. Then a job pauses, and says so. */
async function isByStarvation({ session }: Look, account: MainAccount, { id }: Job): Promise<boolean> {
  const { data } = bodyOf(await must(() => session.data('GET', account, `/fine_tuning/jobs/${id}/events?limit=1`)))
  const [last] = data as { message: string }[]
  return /^Job paused: .*\(Unreachable\)/u.test(last?.message ?? '')
}

function seeJob(account: MainAccount, item: JobItem, job: Job | undefined): string[] {
  const what = `${account.name}: the job ${item.name}`
  const { state } = item
  if (job === undefined) return state.see('absent', what)
  item.id = job.id
  const seen = STATES[job.status]
  if (seen === undefined) {
    state.lost()
    return [`${what} is ${job.status}: ${JSON.stringify(job.error)}`]
  }
  // It goes on by itself, to its end or until its key is gone.
  const mayBe = seen === 'succeeded' || (seen === 'paused' && account.hadKeyTrouble)
  const goesOn = state.possible.includes('unfinished') && mayBe
  if (goesOn) state.begin(seen)
  return state.see(seen, what)
}

async function checkResult({ session }: Look, account: MainAccount, item: JobItem, job: Job): Promise<string[]> {
  const what = `${account.name}: the result of the job ${item.name}`
  const [file = ''] = job.result_files
  const outcome = await must(() => download(session, account, file)).catch((error: Error) => error)
  if (outcome instanceof Error) return [`${what} does not open: ${outcome.message}`]
  const result = { model: job.fine_tuned_model ?? '', file, sha256: sha256(outcome.bytes) }
  if (item.result === undefined) {
    item.result = result
    item.model.done('here')
    return result.model === '' ? [`${what} names no model`] : []
  }
  return JSON.stringify(result) === JSON.stringify(item.result) ? [] : [`${what} is another than it was`]
}

/** Checks that each deployment was asked for, and answers as before; asks the oldest, or each. */
export async function checkDeployments({ session }: Look, account: MainAccount, asksEach: boolean): Promise<string[]> {
  const wrong: string[] = []
  const listed = bodyOf(await must(() => session.arm('GET', `${pathOf(account.name)}/deployments`)))
  const names = new Set((listed.value as { name: string }[]).map(({ name }) => name))
  const serving: DeploymentItem[] = []
  for (const item of account.deployments) {
    const what = `${account.name}: the deployment ${item.name}`
    const isHere = names.delete(item.name)
    wrong.push(...item.state.see(isHere ? 'here' : 'gone', what))
    if (isHere) serving.push(item)
  }
  for (const item of asksEach ? serving : serving.slice(0, 1)) {
    const what = `${account.name}: the deployment ${item.name}`
    const said: Outcome | Error = await must(() => chat(session, account, item.name)).catch((error: Error) => error)
    if (said instanceof Error) wrong.push(`${what} does not serve: ${said.message}`)
    else if (answerOf(said) !== (item.answer ??= answerOf(said)))
      wrong.push(`${what} says ${JSON.stringify(answerOf(said))}, and said ${JSON.stringify(item.answer)}`)
  }
  for (const name of names) wrong.push(`${account.name}: the deployment ${name} was never asked for`)
  return wrong
}

/** Waits until every job has ended: those that were paused are resumed. */
export async function endOfJobs(at: Look, account: MainAccount, seconds: number): Promise<string[]> {
  for (const deadline = Date.now() + seconds * 1000; ;) {
    const open = (await listJobs(at, account)).filter(({ status }) => !['succeeded', 'cancelled'].includes(status))
    if (open.length === 0) return []
    const failed = open.find(({ status }) => status === 'failed')
    if (failed !== undefined)
      return [`${account.name}: the job ${failed.suffix} failed: ${JSON.stringify(failed.error)}`]
    if (Date.now() > deadline)
      return [`${account.name}: ${open.length} jobs have not ended after ${seconds} s: ${JSON.stringify(open)}`]
    for (const { id, status, suffix } of open) {
      if (status !== 'paused') continue
      const { kind } = await at.session.data('POST', account, `/fine_tuning/jobs/${id}/resume`)
      if (kind === 'done') account.jobs.find(({ name }) => name === suffix)?.state.done('unfinished')
    }
    await new Promise(resolve => setTimeout(resolve, 200))
  }
}
