import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { Account } from '../accounts/account.ts'
import type { AccountServices } from '../accounts/accounts.ts'
import { systemEnv } from '../base/env.ts'
import type { Trainer } from '../engines/engine.ts'
import { openLeases } from '../store/leases.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import { put } from '../store/records.ts'
import { SharedRecords, type Handle } from '../store/shared-records.test-support.ts'
import { JobQueue } from './job-queue.ts'
import { JobRunner, type JobRunnerOptions } from './job-runner.ts'
import { Jobs } from './jobs.ts'
import { JobEvents } from './job-events.ts'
import { jobEvents, jobs, ownedKey, type JobRecord, type JobStatus } from './records.ts'
import { RunningJobs } from './running-jobs.ts'

const accountId = 'a'
const idOf = (n: number): string => `ftjob-${String(n).padStart(32, '0')}`
const account = { accountId, id: '/accounts/a' } as Account

/** A process that runs jobs on the store. Its trainer says when it begins, and ends when the test or a stop says so. */
function processOn(records: Handle, clock: { ms: number; isDeleted?: boolean }) {
  const began: string[] = []
  const trainer: Trainer = {
    bases: [],
    async train({ jobId, pause }, _, signal) {
      began.push(jobId)
      await new Promise((_resolve, reject) => {
        for (const one of [signal, pause])
          one?.addEventListener('abort', () => reject(one.reason as Error), { once: true })
      })
      throw new Error('never')
    },
  }
  const keyRing = {
    leases: { hold: async () => ({ signal: new AbortController().signal, release: () => {} }), keys: async () => ({}) },
  } as unknown as AccountServices['keyRing']
  const logged: string[] = []
  const log = (message: string): void => void logged.push(message)
  const env = { ...systemEnv, now: () => Date.now() + clock.ms }
  const base = {
    accounts: { byId: async () => (clock.isDeleted ? undefined : account) } as unknown as AccountServices['accounts'],
    records,
    env,
    keyRing,
    leases: openLeases(records, env.now),
    events: new JobEvents(records, env, keyRing),
    files: {
      get: async () => ({ value: {} }),
      open: async () => ({ read: async function* () {} }),
    },
    queue: new JobQueue({ atOnce: 2, log }),
    running: new RunningJobs(),
    trainer,
    log,
  }
  const service = new Jobs(base as unknown as ConstructorParameters<typeof Jobs>[0])
  const runner = new JobRunner({ ...base, jobs: service } as unknown as JobRunnerOptions)
  return { began, logged, service, runner, queue: base.queue }
}

function jobOf(n: number, status: JobStatus = 'pending'): JobRecord {
  return { accountId, jobId: idOf(n), status, trainingFile: 'file-1', createdAt: 1 } as unknown as JobRecord
}

async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  for (let looks = 0; looks < 400; looks += 1) {
    if (await holds()) return
    await setTimeout(10)
  }
  assert.fail('it never came about')
}

function opened() {
  const shared = new SharedRecords(openMemoryRecords())
  const clock = { ms: 0 }
  const store = shared.open()
  const statusOf = async (n: number): Promise<JobStatus | undefined> =>
    (await store.get(jobs, ownedKey(accountId, idOf(n))))?.value.status
  const add = (n: number, status?: JobStatus): Promise<unknown> =>
    store.commit([put(jobs, ownedKey(accountId, idOf(n)), jobOf(n, status), 0)])
  return { shared, clock, store, statusOf, add }
}

test('each job is run by one of two processes', async () => {
  const { shared, clock, statusOf, add } = opened()
  for (const n of [1, 2]) await add(n)
  const [one, other] = [processOn(shared.open(), clock), processOn(shared.open(), clock)]
  await Promise.all([one.runner.start(), other.runner.start()])
  await until(() => one.began.length + other.began.length >= 2)
  await add(3)
  await until(() => one.began.length + other.began.length >= 3)
  assert.deepEqual([...one.began, ...other.began].toSorted(), [1, 2, 3].map(idOf))
  for (const n of [1, 2, 3]) assert.equal(await statusOf(n), 'running')
  await Promise.all([one.runner.close(), other.runner.close()])
  for (const n of [1, 2, 3]) assert.equal(await statusOf(n), 'pending')
})

test('a process that starts leaves jobs of another process alone', async () => {
  const { shared, clock, store, statusOf, add } = opened()
  await add(1)
  const one = processOn(shared.open(), clock)
  await one.runner.start()
  await until(async () => (await statusOf(1)) === 'running' && one.began.length === 1)
  const other = processOn(shared.open(), clock)
  await other.runner.start()
  await setTimeout(100)
  assert.deepEqual([other.began, await statusOf(1)], [[], 'running'])
  const told = (await store.list(jobEvents, { limit: 10 })).map(({ value }) => value.message)
  assert.deepEqual(told, ['Job started.'])
  await Promise.all([one.runner.close(), other.runner.close()])
})

for (const [what, status] of [
  ['cancel', 'cancelled'],
  ['pause', 'paused'],
] as const)
  test(`who asks one process to ${what} a job that another runs is answered when it is ${status}`, async () => {
    const { shared, clock, statusOf, add } = opened()
    await add(1)
    const one = processOn(shared.open(), clock)
    await one.runner.start()
    await until(() => one.began.length === 1)
    const other = processOn(shared.open(), clock)
    const job = await other.service[what](accountId, idOf(1))
    assert.deepEqual([job.status, job.wanted, await statusOf(1)], [status, undefined, status])
    await Promise.all([one.runner.close(), other.runner.close()])
  })

test('a job whose process is gone is taken up once its lease has run out', async () => {
  const { shared, clock, statusOf, add } = opened()
  await add(1)
  const gone = processOn(shared.open(), clock)
  await gone.runner.start()
  await until(() => gone.began.length === 1)
  // The process stands still, so the lease is not renewed and runs out.
  clock.ms += 60_000
  const other = processOn(shared.open(), clock)
  await other.runner.start()
  await until(() => other.began.length === 1)
  assert.equal(await statusOf(1), 'running')
  await gone.runner.close()
  assert.equal(await statusOf(1), 'running')
  await other.runner.close()
  assert.equal(await statusOf(1), 'pending')
})

for (const wanted of ['cancelled', 'paused'] as const)
  test(`a job that was to be ${wanted} when its process ended is ${wanted}, and does not run again`, async () => {
    const { shared, clock, store, statusOf } = opened()
    const job: JobRecord = { ...jobOf(1, 'running'), wanted }
    await store.commit([put(jobs, ownedKey(accountId, idOf(1)), job, 0)])
    const one = processOn(shared.open(), clock)
    await one.runner.start()
    await until(async () => (await statusOf(1)) === wanted || one.began.length > 0)
    assert.deepEqual([one.began, await statusOf(1)], [[], wanted])
    await one.runner.close()
  })

test('a job that is to be cancelled is cancelled, though its run ends by itself for another reason before it learns that', async () => {
  const { shared, clock, store, statusOf, add } = opened()
  await add(1)
  const handle = shared.open()
  // No promise depends on the watch.
  handle.watch = () => ({ close: () => {} })
  const one = processOn(handle, clock)
  await one.runner.start()
  await until(() => one.began.length === 1)
  const id = ownedKey(accountId, idOf(1))
  const before = await store.get(jobs, id)
  await store.commit([put(jobs, id, { ...(before?.value as JobRecord), wanted: 'cancelled' }, before?.version)])
  await one.runner.close()
  assert.equal(await statusOf(1), 'cancelled')
})

test('a pause that another process asks for while a job is taken up pauses the job, and does not fail it', async () => {
  const { shared, clock, store, statusOf, add } = opened()
  const id = ownedKey(accountId, idOf(1))
  const handle = shared.open()
  // No promise depends on the watch.
  handle.watch = () => ({ close: () => {} })
  const commit = handle.commit.bind(handle)
  let isAsked = false
  handle.commit = async (changes, options) => {
    const job = changes.find(({ collection, value }) => collection === jobs.name && value !== undefined)
    // Between its look at the job and the beginning of its run.
    if (job !== undefined && !isAsked) {
      isAsked = true
      const before = await store.get(jobs, id)
      await store.commit([put(jobs, id, { ...(before?.value as JobRecord), wanted: 'paused' }, before?.version)])
    }
    return commit(changes, options)
  }
  const one = processOn(handle, clock)
  await one.runner.start()
  await add(1, 'running')
  one.queue.add(id)
  await until(async () => (await statusOf(1)) !== 'running')
  assert.deepEqual([isAsked, await statusOf(1), one.began], [true, 'paused', []])
  await one.runner.close()
})

test('a job that a process left running and that could not be made pending goes on too', async () => {
  const { shared, clock, store, statusOf, add } = opened()
  const one = processOn(shared.open(), clock)
  await one.runner.start()
  await add(1, 'running')
  one.queue.add(ownedKey(accountId, idOf(1)))
  await until(() => one.began.length === 1)
  assert.equal(await statusOf(1), 'running')
  const told = (await store.list(jobEvents, { limit: 10 })).map(({ value }) => value.message ?? '')
  assert.match(told.join(), /goes on from its last checkpoint/)
  await one.runner.close()
})

test('a job whose account was soft-deleted when its service ended is paused, so that a restore brings it back', async () => {
  const { shared, clock, statusOf, add } = opened()
  await add(1)
  await add(2, 'running')
  const one = processOn(shared.open(), Object.assign(clock, { isDeleted: true }))
  await one.runner.start()
  await until(async () => (await statusOf(1)) === 'paused' && (await statusOf(2)) === 'paused')
  await one.runner.close()
})
