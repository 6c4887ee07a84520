import type { DatabaseSync } from 'node:sqlite'
import { RecordSet } from './record-set.ts'
import { RecordsChanged } from './records.ts'
import type { SqliteOptions } from './sqlite-records.ts'
import { scanSet } from './sqlite-scan.ts'
import { readHeads, rewriteHeads } from './sqlite-schema.ts'

/** The set of the records as they stand, and what forbids to write: a head that is not theirs, or no key for one that is there. */
export function openSet(
  database: DatabaseSync,
  { authenticator, changed = 'refuse', onAccepted }: SqliteOptions,
): { set?: RecordSet; fault?: Error } {
  const heads = readHeads(database)
  if (authenticator === undefined)
    return heads.length === 0
      ? {}
      : { fault: new Error('The records carry MACs: without their key nothing is written.') }
  const set = scanSet(database, authenticator)
  const fault = set instanceof RecordsChanged ? set : set.check(heads)
  if (fault === undefined && set instanceof RecordSet) return { set }
  if (fault !== undefined && changed === 'refuse') throw fault
  if (fault === undefined || set instanceof RecordsChanged || changed === 'read')
    return { set: new RecordSet(authenticator), ...(fault === undefined ? {} : { fault }) }
  rewriteHeads(database, set.renewed())
  onAccepted?.(fault)
  return { set }
}
