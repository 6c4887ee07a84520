import { createSecretKey, randomBytes, randomUUID } from 'node:crypto'
import { blobRecords } from '../src/encryption/blob-records.ts'
import { KeyRing } from '../src/encryption/key-ring.ts'
import { SealedBlobs } from '../src/encryption/sealed-blobs.ts'
import { systemEnv } from '../src/base/env.ts'
import { openMemoryBlobs } from '../src/store/memory-blobs.ts'
import { openMemoryRecords } from '../src/store/memory-records.ts'
import type { Figure } from './figure.ts'
import { VaultWaits } from '../src/encryption/vault-waits.ts'

const ROUNDS = 7
const KIB = 1024

/** The cost of a lease while a blob is read, compared with a deployment's own copy, which needs no lease. In memory. */
export async function figures(): Promise<Figure[]> {
  const small = await compare(4 * KIB, 2000)
  const large = await compare(64 * KIB * KIB, 1)
  const against = 'the same of a blob that is under no lease'
  return [
    {
      name: 'open and read 4 KiB under a lease, in memory',
      value: small.held,
      unit: '/s',
      ratio: small.ratio,
      against,
    },
    {
      name: 'open and read 64 MiB under a lease, in memory',
      value: 64 * large.held,
      unit: 'MiB/s',
      ratio: large.ratio,
      against,
    },
  ]
}

/** Reads a second: medians of rounds that alternate. */
async function compare(size: number, count: number): Promise<{ held: number; ratio: number }> {
  const [held, free] = await Promise.all([reader('training-data', size), reader('deployment', size)])
  const rates = { held: [] as number[], free: [] as number[] }
  for (let round = 0; round <= ROUNDS; round += 1)
    for (const [name, read] of [
      ['held', held],
      ['free', free],
    ] as const) {
      const started = performance.now()
      for (let done = 0; done < count; done += 1) await read()
      // The first round only warms up.
      if (round > 0) rates[name].push((count * 1000) / (performance.now() - started))
    }
  const [under, without] = [median(rates.held), median(rates.free)]
  return { held: under, ratio: under / without }
}

async function reader(kind: 'training-data' | 'deployment', size: number): Promise<() => Promise<void>> {
  const key = () => createSecretKey(randomBytes(32))
  const rootKeys = {
    service: key(),
    mac: key(),
    deployment: key(),
    hsm: key(),
    records: key(),
    identity: key(),
    bases: key(),
  }
  const records = openMemoryRecords()
  const vaults = { agentFor: () => undefined, timeoutMs: 1, waits: new VaultWaits() }
  const credentialOf = () => ({ getToken: async () => null })
  const settingsOf = async (): Promise<undefined> => undefined
  const ring = new KeyRing({ records, rootKeys, settingsOf, leaseMs: 10_000, vaults, credentialOf })
  const accountId = randomUUID()
  await records.commit(await ring.create(accountId))
  const blobs = new SealedBlobs({ ring, blobs: openMemoryBlobs(), env: systemEnv, deploymentRoot: rootKeys.deployment })
  const bytes = randomBytes(size)
  async function* source(): AsyncGenerator<Uint8Array> {
    yield bytes
  }
  await records.commit((await blobs.create({ accountId, kind, source: source() })).changes)
  const [stored] = await records.list(blobRecords, { limit: 1000 })
  return async () => {
    if (stored === undefined) throw new Error('The blob is missing.')
    for await (const _ of (await blobs.open(stored.value)).read());
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}
