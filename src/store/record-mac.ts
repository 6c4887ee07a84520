import { timingSafeEqual, type KeyObject } from 'node:crypto'
import { deriveKey, hmac, mac } from '../crypto/derive.ts'

/** Proves that a record, and the whole set of records, is as this service wrote it. See docs/adr/0021. */
export interface RecordAuthenticator {
  /** MAC of one record, 32 bytes, which is stored beside the value. */
  macOf(collection: string, id: string, version: number, json: string): Buffer
  /** Whether it is that record's MAC, compared in constant time. */
  isGenuine(tag: Uint8Array, collection: string, id: string, version: number, json: string): boolean
  /** What a record adds to the sum of all records. It is never stored, since the sum is not safe against somebody who knows its summands. */
  summandOf(tag: Uint8Array): Buffer
  /** MAC of the sum over a collection ('' for all) after this many commits; 32 bytes, lower-case hex. */
  headOf(collection: string, counter: number, rows: number, sum: Uint8Array): string
  /** For a head from before records had MACs; see migrate-records.ts. */
  readonly auditHeadMac?: ((message: Buffer) => Buffer) | undefined
}

/** Derives its three keys from one key that is not in the database. */
export function recordAuthenticator(key: KeyObject, auditHeadMac?: (message: Buffer) => Buffer): RecordAuthenticator {
  const rowKey = deriveKey(key, 'record')
  const summandKey = deriveKey(key, 'summand of a record')
  const headKey = deriveKey(key, 'head of all records')
  const macOf: RecordAuthenticator['macOf'] = (collection, id, version, json) =>
    // A JSON array is self-delimiting and has no line break, so no two records share a message. Each commit and first read makes one.
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
