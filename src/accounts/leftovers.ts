import { blobRecords } from '../encryption/blob-records.ts'
import { closedGenerations, keyRows } from '../encryption/key-ring-rows.ts'
import { serviceKeys } from '../encryption/key-ring.ts'
import { keyStates } from '../encryption/key-state.ts'
import { referencedBlobs } from '../encryption/start-up.ts'
import type { BlobStore } from '../store/blobs.ts'
import { everyRecord } from '../store/every-record.ts'
import { leaveOut, type RecordStore } from '../store/records.ts'
import { accounts } from './account.ts'

/** Files and records in a folder that belong to nothing. Lists are cut at `MOST`. */
export interface Leftovers {
  /** Names of sealed files that no record names; absent: not known, since a record of a blob was changed outside. */
  readonly sealedFiles?: readonly string[]
  /** Accounts that are gone (not soft-deleted ones), and the collections that still have records of them. */
  readonly ofGoneAccounts: { readonly accounts: readonly string[]; readonly collections: readonly string[] }
}

/** Collections with an account's keys, and with the data that they open. By account id, or `<account id>/…`. */
const OF_ACCOUNTS = [keyRows, keyStates, serviceKeys, closedGenerations, blobRecords]
const MOST = 1000

/** Something that is just being stored may be among them, so look twice, and at the age of a file. */
export async function findLeftovers(given: {
  readonly records: RecordStore
  readonly blobs: BlobStore
}): Promise<Leftovers> {
  // Files before records and keys before accounts, which is the reverse of the order in which they are stored.
  const files: string[] = []
  for await (const name of given.blobs.list()) files.push(name)
  const named = await referencedBlobs(given.records)
  const isNamed = (name: string): boolean => named?.kept.has(name) === true || named?.going.has(name) === true
  const unnamed = named === undefined ? undefined : files.filter(name => !isNamed(name)).slice(0, MOST)
  return {
    ...(unnamed === undefined ? {} : { sealedFiles: unnamed }),
    ofGoneAccounts: await ofGoneAccounts(given.records),
  }
}

async function ofGoneAccounts(records: RecordStore): Promise<Leftovers['ofGoneAccounts']> {
  const holders = new Map<string, Set<string>>()
  for (const collection of OF_ACCOUNTS) {
    for await (const { id } of everyRecord<unknown>(records, collection, { onTampered: leaveOut })) {
      const accountId = id.split('/')[0] ?? ''
      holders.set(accountId, (holders.get(accountId) ?? new Set()).add(collection.name))
    }
  }
  const gone: string[] = []
  const collections = new Set<string>()
  for (const [accountId, names] of holders) {
    if (await exists(records, accountId)) continue
    gone.push(accountId)
    for (const name of names) collections.add(name)
  }
  return { accounts: gone.slice(0, MOST), collections: [...collections] }
}

/** True also for a record that was changed outside. */
async function exists(records: RecordStore, accountId: string): Promise<boolean> {
  return records.get(accounts, accountId).then(
    found => found !== undefined,
    () => true,
  )
}
