import { openBox, sealBox } from '../crypto/box.ts'
import { deriveBytes } from '../crypto/derive.ts'
import { encodeContext, wipe } from '../crypto/wrap.ts'
import { AzureError } from '../http/errors.ts'
import { heldBy } from './key-ring-rows.ts'
import type { DataKeys } from './data-key.ts'
import { keysWith, type KeyRing } from './key-ring.ts'
import type { Change } from '../store/records.ts'

/** A small value of the customer's (a job's losses), sealed under the account's data key. */
export interface SealedRecord {
  readonly generation: number
  /** Base64. */
  readonly sealed: string
}

/** Conditions for the record's commit: the data key that opens it still exists. */
export function heldRecord(accountId: string, { generation }: SealedRecord): Change[] {
  return heldBy(accountId, generation)
}

/** @param name names the record, so that the value can't be moved to another one. @throws KeyUnavailable */
export async function sealRecord(
  ring: KeyRing,
  accountId: string,
  name: string,
  value: unknown,
): Promise<SealedRecord> {
  const keys = await ring.leases.keys(accountId)
  const context = encodeContext(accountId, name, keys.current)
  const sealed = withRecordKey(keys, keys.current, key => sealBox(key, context, Buffer.from(JSON.stringify(value))))
  return { generation: keys.current, sealed: sealed.toString('base64') }
}

/** @throws KeyUnavailable */
export async function openRecord(
  ring: KeyRing,
  accountId: string,
  name: string,
  record: SealedRecord,
): Promise<unknown> {
  const keys = await keysWith(ring, accountId, record.generation)
  const context = encodeContext(accountId, name, record.generation)
  const sealed = Buffer.from(record.sealed, 'base64')
  return JSON.parse(withRecordKey(keys, record.generation, key => openBox(key, context, sealed)).toString('utf8'))
}

function withRecordKey(keys: DataKeys, generation: number, use: (key: Buffer) => Buffer): Buffer {
  const dataKey = keys.byGeneration.get(generation)
  if (dataKey !== undefined) {
    const key = deriveBytes(dataKey.bytes, 'ownkey/v1/records')
    try {
      return use(key)
    } finally {
      wipe(key)
    }
  }
  throw new AzureError(
    'DataCorrupted',
    500,
    'The account lacks the data key that this record was sealed under. Restore the database from a backup.',
  )
}
