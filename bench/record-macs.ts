import { createSecretKey } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemEnv } from '../src/base/env.ts'
import { openAuditLog, type AuditLog } from '../src/store/audit-log.ts'
import { recordAuthenticator } from '../src/store/record-mac.ts'
import { collection, put, type RecordStore } from '../src/store/records.ts'
import { openSqliteRecords } from '../src/store/sqlite-records.ts'
import type { Figure } from './figure.ts'

const ROUNDS = 9
const COMMITS = 200
const RECORDS = 100_000
const files = collection<object>('openai.files')
const blobs = collection<object>('encryption.blobs')

/** The cost of MACs over all records: the commit of a small upload with and without them, a first read, and the check at a start. */
export async function figures(): Promise<Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), 'ownkey-bench-'))
  try {
    return [...(await commitFigures(folder)), ...(await startFigures(folder))]
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const authenticator = () => recordAuthenticator(createSecretKey(systemEnv.randomBytes(32)))

async function commitFigures(folder: string): Promise<Figure[]> {
  const stores = [
    await openSqliteRecords(join(folder, 'plain.db')),
    await openSqliteRecords(join(folder, 'macs.db'), { authenticator: authenticator() }),
  ]
  const logs = await Promise.all(stores.map(records => openAuditLog(records, systemEnv)))
  const cpu: number[][] = [[], []]
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [index, log] of logs.entries()) {
      const spent = await cpuOf(() => uploads(log, round))
      // The first round of each warms up.
      if (round > 0) cpu[index]?.push(spent)
    }
  }
  for (const records of stores) await records.close()
  const [plain, macs] = cpu.map(spent => (spent.sort((a, b) => a - b)[ROUNDS >> 1] ?? 0) / COMMITS)
  const against = `the same without MACs, ${((plain ?? 0) / 1000).toFixed(3)} ms`
  return [
    {
      name: "store: CPU of a small upload's commit (file, blob, audit entry), with MACs",
      value: (macs ?? 0) / 1000,
      unit: 'ms',
      ratio: (macs ?? 0) / (plain ?? 1),
      against,
    },
  ]
}

async function uploads(log: AuditLog, round: number): Promise<void> {
  for (let n = 0; n < COMMITS; n++) {
    const id = `0b0fca1e-6f3a-4b7e-9a43-7d5f5d8f1a11/${round}-${n}`
    await log.append(
      { operationName: 'files/write', category: 'AuditEvent', resultType: 'Success', properties: { id } },
      [
        put(files, id, { fileId: id, purpose: 'fine-tune', bytes: 1000, createdAt: n }),
        put(blobs, id, { blobId: id, wrappedKey: 'k'.repeat(80), header: 'h'.repeat(128), metadata: 'm'.repeat(200) }),
      ],
    )
  }
}

/** Microseconds of CPU time of this process, which a busy machine affects less than wall time. */
async function cpuOf(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return user + system
}

async function startFigures(folder: string): Promise<Figure[]> {
  const path = join(folder, 'large.db')
  const key = authenticator()
  const records = await openSqliteRecords(path, { authenticator: key })
  for (let from = 0; from < RECORDS; from += 5000) await records.commit(page(from))
  await records.close()
  const opening: number[] = []
  for (let round = 0; round < 3; round++) {
    let opened: RecordStore | undefined
    opening.push(await cpuOf(async () => (opened = await openSqliteRecords(path, { authenticator: key })) && undefined))
    await opened?.close()
  }
  const value = Math.min(...opening) / 1000
  return [{ name: 'store: open 100,000 records and hold their set against its head', value, unit: 'ms CPU' }]
}

function page(from: number) {
  return Array.from({ length: 5000 }, (_, n) => put(files, `f-${from + n}`, { fileId: `f-${from + n}`, bytes: n }))
}
