import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'
import type { RecordAuthenticator } from './record-mac.ts'
import * as queries from './record-queries.ts'
import { compareIds } from './record-rules.ts'
import { chainedCollection, RecordSet, type SetScan } from './record-set.ts'
import { RecordsChanged } from './records.ts'

const rowsARead = 200
const maximumNamed = 100
const sampled = 20
/** Behind every id and every collection: the last character. */
const last = '\u{10ffff}'

/**
 * The set of all records in the database, from their MACs alone. Each read checks whether a MAC fits its value.
 *
 * The audit log between the two sides is not read, and in a forged tree other records may be among its entries. So each side is read away
 * from it, from the place where a search for the log ends. Then no search for a record of a side ends beyond that place: where it leaves
 * the path of the search for the log, at a key between the two, it goes to the side that is read.
 */
export function scanSet(database: DatabaseSync, authenticator: RecordAuthenticator): RecordSet | RecordsChanged {
  const set = new RecordSet(authenticator)
  for (const side of ['<', '>'] as const) {
    let before: string | undefined
    for (const row of database.prepare(queries.selectMacs(side)).iterate(chainedCollection)) {
      const collection = String(row['collection'])
      const key = `${collection}\0${String(row['id'])}`
      // In a tree that is out of order a search does not find what a scan finds.
      if (before !== undefined && compareIds(before, key) * (side === '<' ? -1 : 1) >= 0) return outOfOrder(collection)
      before = key
      set.add(collection, tagOf(row['mac']))
    }
  }
  set.keep()
  return set
}

export function outOfOrder(collection: string): RecordsChanged {
  return new RecordsChanged([collection], 'the records are out of order')
}

/**
 * Checks every record except audit entries against its MAC, and adds up their set. It goes in parts, so that others work meanwhile.
 * `outOfOrder` names a collection whose records are not in their order.
 */
export async function scanRecords(
  database: DatabaseSync,
  authenticator: RecordAuthenticator,
  scan: SetScan,
  isOpen: () => boolean,
): Promise<{ tampered: { collection: string; id: string }[]; records: number; outOfOrder?: string }> {
  const statement = database.prepare(queries.selectAfter)
  const search = database.prepare(queries.selectVersion)
  const tampered: { collection: string; id: string }[] = []
  let records = 0
  let [collection, id] = ['', '']
  for (;;) {
    if (!isOpen()) throw new Error('The record store is closed.')
    const rows = statement.all(collection, id, rowsARead)
    for (const row of rows) {
      ;[collection, id] = [String(row['collection']), String(row['id'])]
      // Skips all audit entries at once.
      if (collection === chainedCollection) break
      records += 1
      // Whoever reads it searches for it.
      const found = tagOf(search.get(collection, id)?.['mac'])
      const isFound = tagOf(row['mac']).every((byte, at) => byte === found[at])
      if (!isFound || !scan.pass(collection, id, tagOf(row['mac'])))
        return { tampered, records, outOfOrder: collection }
      if (isGenuine(row, authenticator)) continue
      if (tampered.length < maximumNamed) tampered.push({ collection, id })
    }
    if (collection === chainedCollection && id !== last) scan.skipTo(collection, (id = last))
    else if (rows.length < rowsARead) {
      // From here to the comparison no write is missed.
      scan.skipTo(last, last)
      return { tampered, records }
    }
    await new Promise(resolve => setImmediate(resolve))
  }
}

/** Whether all of the first records have wrong MACs, which does not happen by chance. */
export function isOfAnotherKey(database: DatabaseSync, authenticator: RecordAuthenticator): boolean {
  const rows = database.prepare(queries.selectAfter).all('', '', sampled)
  return rows.length > 1 && !rows.some(row => isGenuine(row, authenticator))
}

function isGenuine(row: Readonly<Record<string, SQLOutputValue>>, authenticator: RecordAuthenticator): boolean {
  const [collection, id, json] = [String(row['collection']), String(row['id']), String(row['value'])]
  return authenticator.isGenuine(tagOf(row['mac']), collection, id, Number(row['version']), json)
}

export function tagOf(value: unknown): Uint8Array {
  return value instanceof Uint8Array ? value : new Uint8Array(0)
}
