import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'
import type { RecordAuthenticator } from './record-mac.ts'
import * as queries from './record-queries.ts'
import { compareIds } from './record-rules.ts'
import { chainedCollection, RecordSet } from './record-set.ts'
import { RecordsChanged } from './records.ts'

const rowsARead = 200
const maximumNamed = 100
const sampled = 20

/** The set of all records that stand in the database, from their MACs alone: whether those fit their values, each reading finds. */
export function scanSet(database: DatabaseSync, authenticator: RecordAuthenticator): RecordSet | RecordsChanged {
  const set = new RecordSet(authenticator)
  for (const side of ['<', '>'] as const) {
    let before: string | undefined
    for (const row of database.prepare(queries.selectMacs(side)).iterate(chainedCollection)) {
      const collection = String(row['collection'])
      const key = `${collection}\0${String(row['id'])}`
      // A search in a tree that is out of order does not find what a scan of it does.
      if (before !== undefined && compareIds(before, key) >= 0)
        return new RecordsChanged([collection], 'the records are out of order')
      before = key
      set.add(collection, tagOf(row['mac']))
    }
  }
  set.keep()
  return set
}

/** Holds every record but audit entries against its MAC, some at a time: others work meanwhile. */
export async function findTampered(database: DatabaseSync, authenticator: RecordAuthenticator, isOpen: () => boolean) {
  const statement = database.prepare(queries.selectAfter)
  const tampered: { collection: string; id: string }[] = []
  let records = 0
  let [collection, id] = ['', '']
  for (;;) {
    if (!isOpen()) throw new Error('The record store is closed.')
    const rows = statement.all(collection, id, rowsARead)
    for (const row of rows) {
      ;[collection, id] = [String(row['collection']), String(row['id'])]
      // Past all of them at once: U+10FFFF is the last character.
      if (collection === chainedCollection) break
      records += 1
      if (isGenuine(row, authenticator)) continue
      if (tampered.length < maximumNamed) tampered.push({ collection, id })
    }
    if (collection === chainedCollection && id !== '\u{10ffff}') id = '\u{10ffff}'
    else if (rows.length < rowsARead) return { tampered, records }
    await new Promise(resolve => setImmediate(resolve))
  }
}

/** Not one of the first records has the MAC that it must have: nobody changes all of them by chance. */
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
