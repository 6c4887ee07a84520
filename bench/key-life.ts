import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { startCloudProcess, type CloudProcess } from '../src/harness/cloud-process.ts'
import { blobKeyOf, blobRecords } from '../src/encryption/blob-records.ts'
import { accounts } from '../src/accounts/account.ts'
import { openFolderRecords } from '../src/folder/folder-records.ts'
import { rootKeysOf } from '../src/folder/stopped-folder.ts'
import { blobFile } from '../src/store/blob-files.ts'
import { put } from '../src/store/records.ts'
import { Azure } from '../test/support/azure.ts'
import type { Figure } from './figure.ts'

const SIZES = [0, 1000, 10_000, 100_000]
const ROUNDS = 5
const READS = 300

/** The costs in a key's life: changes by the number of blobs, and reads under a lease. */
export async function figures(): Promise<Figure[]> {
  return [...(await changeFigures()), ...(await readFigures())]
}

/** R18: the cost of a change must not grow with the data. Records of blobs are written directly into the stopped cloud's database. */
async function changeFigures(): Promise<Figure[]> {
  const dataDir = await mkdtemp(join(tmpdir(), 'ownkey-bench-'))
  let cloud = await startCloudProcess(dataDir)
  const port = String(cloud.endpoints.port)
  const azure = await Azure.in(cloud.endpoints)
  const { account, rotate } = await cast(azure, 'changing', 'kv-change')
  const times = new Map<string, number[]>()
  let stored = 0
  for (const size of SIZES) {
    await cloud.stop()
    await addBlobs(dataDir, stored, size)
    stored = size
    cloud = await startCloudProcess(dataDir, ['--port', port])
    for (let round = 0; round <= ROUNDS; round++) {
      const steps: [string, () => Promise<{ status: number; body: unknown }>][] = [
        ['enable', await rotate()],
        ['rotate', await rotate()],
        ['disable', () => account.encrypt()],
      ]
      for (const [name, step] of steps) {
        const start = performance.now()
        const { status, body } = await step()
        assert.equal(status, 200, JSON.stringify(body))
        // The first round of each size only warms up.
        if (round > 0)
          times.set(`${name} ${size}`, [...(times.get(`${name} ${size}`) ?? []), performance.now() - start])
      }
    }
  }
  await cloud.stop()
  await rm(dataDir, { recursive: true })
  return ['enable', 'rotate', 'disable'].flatMap(name => {
    const few = median(times.get(`${name} 0`) ?? [])
    return SIZES.map((size): Figure => {
      const value = median(times.get(`${name} ${size}`) ?? [])
      return {
        name: `${name} with ${size.toLocaleString('en')} blobs`,
        value,
        unit: 'ms',
        ...(size === 0 ? {} : { ratio: few / value, against: 'the same with none' }),
      }
    })
  })
}

/** An account with a vault. `rotate` makes a version and returns the step that puts it into use. */
async function cast(azure: Azure, name: string, vault: string) {
  const account = await azure.account(name)
  const keys = await azure.vault(vault)
  await azure.policy(vault, 'add', account.principalId)
  const rotate = async () => {
    const { properties } = await keys.createRsaKey('cmk', { keySize: 2048 })
    return () => account.encrypt({ vault, name: 'cmk', version: properties.version })
  }
  return { account, rotate }
}

/** With an empty file each, as a start counts them. */
async function addBlobs(dataDir: string, from: number, to: number): Promise<void> {
  const records = await openFolderRecords(dataDir, await rootKeysOf(dataDir))
  const [account] = await records.list(accounts, { limit: 1 })
  const accountId = account?.value.accountId ?? ''
  for (let n = from; n < to; n += 1000) {
    const changes = Array.from({ length: Math.min(1000, to - n) }, (_, index) => {
      const blobId = `00000000-0000-4000-8000-${String(n + index).padStart(12, '0')}`
      const file = blobFile(join(dataDir, 'blobs'), blobId)
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
      writeFileSync(file, '', { mode: 0o600 })
      const wrappedKey = Buffer.alloc(40).toString('base64')
      const header = Buffer.alloc(96).toString('base64')
      const rest = {
        kind: 'training-data',
        generation: 1,
        wrappedKey,
        header,
        size: 1,
        storedSize: 1,
        createdAt: '',
      } as const
      return put(blobRecords, blobKeyOf(accountId, blobId), { blobId, accountId, ...rest })
    })
    await records.commit(changes)
  }
  await records.close()
}

/** A small download under a customer's key, with a lease and with the vault asked each time, compared with service-managed keys. */
async function readFigures(): Promise<Figure[]> {
  const rate = async (lease: number, isCustomer: boolean): Promise<number> =>
    withCloud(['--key-lease-seconds', String(lease)], async azure => {
      const { account, rotate } = await cast(azure, 'reading', 'kv-read')
      const file = await account.upload('bench')
      if (isCustomer) assert.equal((await (await rotate())()).status, 200)
      for (let n = 0; n < READS / 5; n++) await account.download(file)
      const start = performance.now()
      for (let n = 0; n < READS; n++) await account.download(file)
      return READS / ((performance.now() - start) / 1000)
    })
  const [plain, warm, asking] = [await rate(30, false), await rate(30, true), await rate(0, true)]
  const against = `under service-managed keys, ${plain.toFixed(0)} /s`
  return [
    { name: 'small downloads under a lease', value: warm, unit: '/s', ratio: warm / plain, against },
    { name: 'small downloads, lease 0', value: asking, unit: '/s', ratio: asking / plain, against },
  ]
}

async function withCloud<T>(args: readonly string[], work: (azure: Azure) => Promise<T>): Promise<T> {
  const dataDir = await mkdtemp(join(tmpdir(), 'ownkey-bench-'))
  const cloud: CloudProcess = await startCloudProcess(dataDir, args)
  try {
    return await work(await Azure.in(cloud.endpoints))
  } finally {
    await cloud.stop()
    await rm(dataDir, { recursive: true })
  }
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN
