import type { DatabaseSync } from 'node:sqlite'
import type { RecordAuthenticator } from './record-mac.ts'
import { RecordSet } from './record-set.ts'
import { RecordsChanged, type RecordsLost } from './records.ts'
import { scanSet } from './sqlite-scan.ts'
import { readHeads, rewriteHeads } from './sqlite-schema.ts'

/**
 * The set of the stored records, and what forbids writing: a head that is not theirs, or a missing key. Records that are out of order
 * can't be used, whatever the operator says.
 */
export function openSet(
  database: DatabaseSync,
  { authenticator }: { readonly authenticator?: RecordAuthenticator },
): { readonly set?: RecordSet; readonly fault?: Error; readonly isUsable: boolean } {
  const heads = readHeads(database)
  if (authenticator === undefined) {
    if (heads.length === 0) return { isUsable: true }
    return { isUsable: false, fault: new Error('The records carry MACs: without their key nothing is written.') }
  }
  const set = scanSet(database, authenticator)
  if (set instanceof RecordsChanged) return { set: new RecordSet(authenticator), fault: set, isUsable: false }
  const fault = set.check(heads)
  return { set, isUsable: true, ...(fault === undefined ? {} : { fault }) }
}

interface WritingOptions {
  readonly authenticator?: RecordAuthenticator
  readonly changed?: 'refuse' | 'accept'
  readonly onAccepted?: (changed: RecordsChanged) => void
}

/** The set to go on with, and what forbids writing. @throws RecordsChanged unless the operator accepts it */
export function openWritableSet(
  database: DatabaseSync,
  options: WritingOptions,
  counter: number,
  lost: RecordsLost | undefined,
): { readonly set?: RecordSet; readonly fault?: Error } {
  const { changed = 'refuse', onAccepted } = options
  const { set, fault: found, isUsable } = openSet(database, options)
  const fault = found ?? lost
  if (!(fault instanceof RecordsChanged) || set === undefined) return { ...(set && { set }), ...(fault && { fault }) }
  if (changed === 'refuse' || !isUsable) throw fault
  // Past every acknowledged state, so that one number never names two states.
  set.skipTo(counter)
  rewriteHeads(database, set.renewed())
  onAccepted?.(fault)
  return { set }
}
