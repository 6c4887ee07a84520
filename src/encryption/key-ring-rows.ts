import { createHash, timingSafeEqual, type KeyObject } from 'node:crypto'
import { mac, verifyMac } from '../crypto/derive.ts'
import { encodeContext, newDataKey, wipe } from '../crypto/wrap.ts'
import {
  collection,
  mustExist,
  mustNotExist,
  put,
  remove,
  VersionConflict,
  type Change,
  type RecordStore,
  type Stored,
} from '../store/records.ts'
import { KeyRingTampered } from './key-ring-tampered.ts'
import type { KeyEncryptionKey } from './key-encryption-key.ts'
import { KeyUnavailable } from './key-unavailable.ts'
import { allRecords } from '../store/every-record.ts'

/** One wrapped data key: a generation of an account. Invariant: each generation has exactly one active row. */
export interface KeyRow {
  readonly accountId: string
  readonly generation: number
  /** The key-encryption key's id: a key URI with version, or `service:<account id>`. */
  readonly kekId: string
  readonly algorithm: KeyEncryptionKey['algorithm']
  /** Base64: the data key and SHA-256(account, generation), wrapped. */
  readonly wrapped: string
  readonly status: 'active' | 'pending'
  /** Base64 HMAC-SHA-256 over all of the above, under a key that is not in the database. */
  readonly mac: string
}

export const keyRows = collection<KeyRow>('encryption.data-keys')
/** By account and generation. After this record nothing more is committed under the generation, so its data can be counted. */
export const closedGenerations = collection<object>('encryption.closed-generations')

const rowId = (row: Pick<KeyRow, 'accountId' | 'generation' | 'status'>): string =>
  `${row.accountId}/${row.status}/${String(row.generation).padStart(8, '0')}`

/** Wraps 64 bytes. RSA-OAEP is not authenticated, so the second half binds the data key to its account and generation. */
export async function wrapDataKey(
  kek: KeyEncryptionKey,
  macKey: KeyObject,
  owner: { accountId: string; generation: number },
  dataKey: Uint8Array,
  status: KeyRow['status'],
): Promise<KeyRow> {
  const bound = Buffer.concat([dataKey, ownerDigest(owner)])
  const wrapped = (await kek.wrap(bound)).toString('base64')
  wipe(bound)
  return signed(macKey, { ...owner, kekId: kek.id, algorithm: kek.algorithm, wrapped, status })
}

/** K7: whether this service wrote the row. A row that somebody else wrapped correctly is not ours. */
export function hasMac(macKey: KeyObject, row: KeyRow): boolean {
  return verifyMac(macKey, Buffer.from(row.mac, 'base64'), ...macParts(row))
}

/**
 * @throws AzureError 500 KeyRingTampered when row or content are not what this service wrote; KeyUnavailable KeyReplaced when a vault
 * returns something else than what was wrapped
 */
export async function unwrapDataKey(kek: KeyEncryptionKey, macKey: KeyObject, row: KeyRow): Promise<Buffer> {
  if (!hasMac(macKey, row)) throw tampered(row)
  const bound = await kek.unwrap(Buffer.from(row.wrapped, 'base64'))
  if (bound.length !== 64 || !bound.subarray(32).equals(ownerDigest(row))) {
    wipe(bound)
    // The MAC proves that the row is ours, so the vault's answer is wrong. Rows under the service's own key are authenticated anyway.
    throw kek.algorithm === 'RSA-OAEP-256' ? new KeyUnavailable('KeyReplaced', kek.id) : tampered(row)
  }
  const dataKey = Buffer.from(bound.subarray(0, 32))
  wipe(bound)
  return dataKey
}

/** A row with a new data key. It checks that the key-encryption key gives back what went in, before anything depends on it. */
export async function newGeneration(
  kek: KeyEncryptionKey,
  macKey: KeyObject,
  owner: { accountId: string; generation: number },
): Promise<KeyRow> {
  const dataKey = newDataKey()
  try {
    const row = await wrapDataKey(kek, macKey, owner, dataKey, 'active')
    const again = await unwrapDataKey(kek, macKey, row)
    const isSame = timingSafeEqual(again, dataKey)
    wipe(again)
    if (!isSame) throw new KeyUnavailable('KeyReplaced', kek.id)
    return row
  } finally {
    wipe(dataKey)
  }
}

export function rowsOf(records: RecordStore, accountId: string, status: KeyRow['status']): Promise<Stored<KeyRow>[]> {
  return allRecords(records, keyRows, { prefix: `${accountId}/${status}/` })
}

/** Removes what a change that was broken off left behind. Pending rows never count. */
export async function dropPending(records: RecordStore, accountId: string): Promise<Change[]> {
  return (await rowsOf(records, accountId, 'pending')).map(({ id }) => remove(keyRows, id))
}

const closedId = (accountId: string, generation: number): string => `${accountId}/${generation}`

/** Data that was sealed under a generation may be committed only while its data key exists and is not closed. */
export function heldBy(accountId: string, generation: number): Change[] {
  return [
    mustExist(keyRows, rowId({ accountId, generation, status: 'active' })),
    mustNotExist(closedGenerations, closedId(accountId, generation)),
  ]
}

/** The commit came too late: the data key of its content is destroyed or closed. */
export function isRetired(error: unknown): boolean {
  return (
    error instanceof VersionConflict &&
    (error.collection === keyRows.name || error.collection === closedGenerations.name)
  )
}

/** The same error for a content whose data key is gone before its commit. */
export function retired({ accountId, generation }: Pick<KeyRow, 'accountId' | 'generation'>): VersionConflict {
  return new VersionConflict(keyRows.name, rowId({ accountId, generation, status: 'active' }))
}

export function putClosed({ accountId, generation }: KeyRow): Change {
  return put(closedGenerations, closedId(accountId, generation), {})
}

/** Once its data key is gone. */
export function removeClosed({ accountId, generation }: KeyRow): Change {
  return remove(closedGenerations, closedId(accountId, generation))
}

/** The row of a new generation. */
export function putNew(row: KeyRow): Change {
  return put(keyRows, rowId(row), row, 0)
}

/** Call `dropPending` first, since rows that a change left behind must be destroyed, not written over. */
export function putPending(row: KeyRow): Change {
  return put(keyRows, rowId(row), row, 0)
}

/** Makes a pending row the active one of its generation, if nobody changed the active one meanwhile. */
export function activate(
  macKey: KeyObject,
  pending: KeyRow,
  replaced: Stored<KeyRow>,
): { active: KeyRow; changes: Change[] } {
  const { mac: _, ...row } = pending
  const active = signed(macKey, { ...row, status: 'active' })
  const changes = [put(keyRows, rowId(active), active, replaced.version), remove(keyRows, rowId(pending))]
  return { active, changes }
}

function signed(macKey: KeyObject, row: Omit<KeyRow, 'mac'>): KeyRow {
  return { ...row, mac: mac(macKey, ...macParts(row)).toString('base64') }
}

function macParts(row: Omit<KeyRow, 'mac'>): (string | number)[] {
  return ['key ring row', row.accountId, row.generation, row.kekId, row.algorithm, row.wrapped, row.status]
}

function ownerDigest(owner: { accountId: string; generation: number }): Buffer {
  return createHash('sha256')
    .update(encodeContext('data key owner', owner.accountId, owner.generation))
    .digest()
}

function tampered(row: KeyRow): KeyRingTampered {
  return new KeyRingTampered(`generation ${row.generation} is not what this service wrote`)
}
