import { timingSafeEqual, type KeyObject } from 'node:crypto'
import { deriveKey, hmac, mac } from '../crypto/derive.ts'

/** What proves that a record, and the whole set of them, is as this service wrote it. See docs/adr/0021. */
export interface RecordAuthenticator {
  /** MAC of one record, 32 bytes, as it stands beside the value. */
  macOf(collection: string, id: string, version: number, json: string): Buffer
  /** Whether it is that record's MAC, compared in constant time. */
  isGenuine(tag: Uint8Array, collection: string, id: string, version: number, json: string): boolean
  /** What a record adds to the sum of all of them. Never stored: the sum would not hold against who knows its summands. */
  summandOf(tag: Uint8Array): Buffer
  /** MAC of a sum over a collection ('' is all of them) after so many commits; 32 bytes, lower-case hex. */
  headOf(collection: string, counter: number, rows: number, sum: Uint8Array): string
  /** For a head that came before MACs stood beside the records; see migrate-records.ts. */
  readonly auditHeadMac?: ((message: Buffer) => Buffer) | undefined
}

/** Derives the three keys that it takes from one key that is not in the database. */
export function recordAuthenticator(key: KeyObject, auditHeadMac?: (message: Buffer) => Buffer): RecordAuthenticator {
  const rowKey = deriveKey(key, 'record')
  const summandKey = deriveKey(key, 'summand of a record')
  const headKey = deriveKey(key, 'head of all records')
  const macOf: RecordAuthenticator['macOf'] = (collection, id, version, json) =>
    // A JSON array ends by itself and holds no line break: no two records share a message. Each commit and first reading makes one.
    hmac(rowKey, `${JSON.stringify([collection, id, version])}\n${json}`)
  return {
    macOf,
    isGenuine(tag, ...record) {
      const expected = macOf(...record)
      return tag.length === expected.length && timingSafeEqual(tag, expected)
    },
    summandOf: tag => hmac(summandKey, tag),
    headOf: (collection, counter, rows, sum) => mac(headKey, collection, counter, rows, sum).toString('hex'),
    auditHeadMac,
  }
}
