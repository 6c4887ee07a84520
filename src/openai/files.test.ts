import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Account } from '../accounts/account.ts'
import type { Accounts } from '../accounts/accounts.ts'
import type { AuditSink } from '../audit/audit-event.ts'
import { systemEnv } from '../base/env.ts'
import type { SealedBlobs } from '../encryption/sealed-blobs.ts'
import { ForwardedRecords } from '../store/forwarded-records.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import { put, type Change, type RecordStore } from '../store/records.ts'
import { Files } from './files.ts'
import { files, fileUses, jobs, ownedKey, type FileRecord, type JobRecord } from './records.ts'

const accountId = 'a'
const [fileId, jobId] = [`file-${'f'.repeat(32)}`, `ftjob-${'j'.repeat(32)}`]
const account = { accountId, id: '/accounts/a' } as Account
const key = ownedKey(accountId, fileId)

/** @param after done once, between the look at all jobs and the commit of a deletion */
async function filesOver(after: readonly Change[]) {
  const records = openMemoryRecords()
  const file = { fileId, accountId, purpose: 'fine-tune', blobId: 'b', bytes: 1, createdAt: 0 } as FileRecord
  await records.commit([put(files, key, file)])
  const left = [after]
  const commit: RecordStore['commit'] = async (changes, options) => {
    const before = left.pop()
    if (before !== undefined) await records.commit(before)
    return records.commit(changes, options)
  }
  const onStore = Object.assign(new ForwardedRecords(records), { commit })
  const audit: AuditSink = { append: (_, changes = [], options) => onStore.commit(changes, options) }
  const unlinked: string[] = []
  const blobs = {
    remove: async (_: string, blobId: string) => ({ changes: [], unlink: async () => void unlinked.push(blobId) }),
  } as unknown as SealedBlobs
  const service = new Files({ accounts: {} as Accounts, records: onStore, env: systemEnv, audit, blobs })
  return { records, service, unlinked, stored: await service.get(accountId, fileId) }
}

test('L1: a deletion sees a job that another process created since it looked at all jobs', async () => {
  const job = { accountId, jobId, status: 'pending', trainingFile: fileId } as JobRecord
  const created = [put(jobs, ownedKey(accountId, jobId), job), put(fileUses, key, { jobId })]
  const { records, service, unlinked, stored } = await filesOver(created)
  await assert.rejects(service.delete(account, stored), { code: 'conflict', message: new RegExp(jobId, 'u') })
  assert.ok(await records.get(files, key))
  assert.deepEqual(unlinked, [])
})

test('of two deletions of a file at two processes, the second finds nothing', async () => {
  const { service, stored } = await filesOver([{ collection: files.name, id: key }])
  await assert.rejects(service.delete(account, stored), { status: 404 })
})

test('a file that a job used and that no job reads any more is deleted with the record of its use', async () => {
  const { records, service, unlinked, stored } = await filesOver([])
  await records.commit([put(fileUses, key, { jobId })])
  await service.delete(account, stored)
  assert.equal(await records.get(fileUses, key), undefined)
  assert.deepEqual(unlinked, ['b'])
})
