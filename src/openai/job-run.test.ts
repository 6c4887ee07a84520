import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import type { Account } from '../accounts/account.ts'
import { blobKeyOf, blobRecords, type BlobRecord } from '../encryption/blob-records.ts'
import type { KeyRing } from '../encryption/key-ring.ts'
import { heldBy } from '../encryption/key-ring-rows.ts'
import type { Trainer, TrainingCheckpoint, TrainingSink } from '../engines/engine.ts'
import { systemEnv } from '../base/env.ts'
import { isFenced } from '../store/leases.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import { collection, mustExist, put, remove, type Stored } from '../store/records.ts'
import { JobRun, type JobRunOptions } from './job-run.ts'
import { RunningJobs } from './running-jobs.ts'
import { checkpoints, jobs, ownedKey, type JobRecord } from './records.ts'

const [accountId, jobId] = ['a', 'ftjob-1']
const running = new RunningJobs()

/** What a run keeps after these checkpoints and its end: the checkpoints, and the blobs that have records and files. */
async function keptOf(sent: readonly Pick<TrainingCheckpoint, 'step' | 'interim'>[]) {
  const records = openMemoryRecords()
  const [held] = heldBy(accountId, 1)
  const id = ownedKey(accountId, jobId)
  const job = { accountId, jobId, status: 'running', trainingFile: 'file-1' } as unknown as JobRecord
  await records.commit([{ collection: held?.collection ?? '', id: held?.id ?? '', value: {} }, put(jobs, id, job, 0)])
  const files = new Set<string>()
  const blobs = {
    create: async () => {
      const blobId = systemEnv.uuid()
      files.add(blobId)
      return {
        record: { accountId, blobId },
        changes: [put(blobRecords, blobKeyOf(accountId, blobId), {} as BlobRecord)],
      }
    },
    remove: async (_: string, blobId: string) => ({
      changes: [remove(blobRecords, blobKeyOf(accountId, blobId))],
      unlink: async () => void files.delete(blobId),
    }),
  }
  const opened = { read: () => [] }
  const readFiles = { get: async () => ({ value: {} }), open: async () => opened }
  const trainer: Trainer = {
    bases: [],
    async train(_, sink) {
      for (const one of sent)
        await sink.checkpoint({ ...one, adapter: Readable.from([]), state: Readable.from([]) } as TrainingCheckpoint)
      throw new Error('ended')
    },
  }
  const byGeneration = new Map([[1, { bytes: randomBytes(32) }]])
  const ring = { leases: { keys: async () => ({ current: 1, byGeneration }) } } as unknown as KeyRing
  const stored: Stored<JobRecord> = { id, version: 1, value: job }
  const options = {
    records,
    env: systemEnv,
    keyRing: ring,
    blobs,
    files: readFiles,
    trainer,
    running,
  } as unknown as JobRunOptions
  const run = new JobRun(options, { account: { accountId } as Account, stored })
  const never = new AbortController().signal
  await assert.rejects(run.run(never, never), /ended/)
  const kept = (await records.list(checkpoints, { limit: 100 })).map(({ value }) => value)
  const withRecords = (await records.list(blobRecords, { limit: 100 })).map(one => one.id.slice(accountId.length + 1))
  const named = kept.flatMap(({ blobId, stateBlobId }) =>
    stateBlobId === undefined ? [blobId] : [blobId, stateBlobId],
  )
  assert.deepEqual(withRecords.toSorted(), named.toSorted(), 'blobs with records, and blobs that checkpoints name')
  assert.deepEqual([...files].toSorted(), named.toSorted(), 'files, and blobs that checkpoints name')
  return kept.map(({ step, interim, stateBlobId }) => ({
    step,
    interim: interim === true,
    goesOn: stateBlobId !== undefined,
  }))
}

test('after a pause in the step behind a checkpoint the job goes on from that checkpoint', async () => {
  const kept = await keptOf([
    { step: 7, interim: true },
    { step: 7, interim: true },
  ])
  assert.deepEqual(kept, [{ step: 7, interim: true, goesOn: true }])
})

test('a pause right after the end of an epoch leaves its checkpoint as it is', async () => {
  const kept = await keptOf([
    { step: 8, interim: false },
    { step: 8, interim: true },
  ])
  assert.deepEqual(kept, [{ step: 8, interim: false, goesOn: true }])
})

test('a checkpoint that is shown replaces an interim one of the same step', async () => {
  const kept = await keptOf([
    { step: 4, interim: false },
    { step: 8, interim: true },
    { step: 8, interim: false },
  ])
  assert.deepEqual(kept, [
    { step: 4, interim: false, goesOn: false },
    { step: 8, interim: false, goesOn: true },
  ])
})

test('a run that is cancelled while it waits for the vault does not read its data afterwards', async () => {
  const records = openMemoryRecords()
  const [asked, answered] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const files = {
    get: async () => ({ value: {} }),
    open: async () => {
      asked.resolve()
      await answered.promise
      return { read: () => assert.fail('it is over') }
    },
  }
  const value = { accountId, jobId, status: 'running', trainingFile: 'file-1' } as unknown as JobRecord
  const stored: Stored<JobRecord> = { id: ownedKey(accountId, jobId), version: 1, value }
  const trainer = { bases: [], train: async () => assert.fail('it was cancelled') }
  const options = { records, env: systemEnv, files, trainer, running } as unknown as JobRunOptions
  const run = new JobRun(options, { account: { accountId } as Account, stored })
  const cancelled = new AbortController()
  const ended = assert.rejects(run.run(cancelled.signal, new AbortController().signal), /cancelled/)
  await asked.promise
  cancelled.abort(new Error('cancelled'))
  await ended
  answered.resolve()
  await new Promise(setImmediate)
})

test('what a run writes after its end is still under its own lease', async () => {
  const records = openMemoryRecords()
  const id = ownedKey(accountId, jobId)
  const value = { accountId, jobId, status: 'running', trainingFile: 'file-1' } as unknown as JobRecord
  await records.commit([put(jobs, id, value, 0)])
  let late: TrainingSink | undefined
  const trainer: Trainer = {
    bases: [],
    async train(_, sink) {
      late = sink
      throw new Error('ended')
    },
  }
  const own = new RunningJobs()
  const options = {
    records,
    env: systemEnv,
    files: { get: async () => ({ value: {} }), open: async () => ({ read: () => [] }) },
    events: { message: async () => put(collection('events'), 'one', {}) },
    trainer,
    running: own,
  } as unknown as JobRunOptions
  // Its lease was lost meanwhile.
  own.add(jobId, { stop: () => {}, fence: [mustExist(collection('store.lease-fences'), 'lost')] })
  const run = new JobRun(options, { account: { accountId } as Account, stored: { id, version: 1, value } })
  const never = new AbortController().signal
  await assert.rejects(run.run(never, never), /ended/)
  own.delete(jobId)
  const started = { hyperparameters: {}, totalSteps: 1, examples: 1, files: [] } as unknown as Parameters<
    TrainingSink['started']
  >[0]
  await assert.rejects(async () => late?.started(started), isFenced)
  assert.deepEqual((await records.get(jobs, id))?.value, value)
})
