import { giveOutWhereFull } from './disk-reserve.ts'
import type { RecordSet } from './record-set.ts'
import type { FileRecords, RecordStore } from './records.ts'
import { copyDatabase } from './sqlite-copy.ts'
import { openingFailure, pragma } from './sqlite-database.ts'
import { closeReadOnly, inspectDatabase, openReadOnly } from './sqlite-inspect.ts'
import { headOf, SqliteReads, type ReadingOptions } from './sqlite-reads.ts'
import { checkTables, schemaVersion } from './sqlite-schema.ts'
import { openSet } from './sqlite-set.ts'

/**
 * Opens the record database of a stopped cloud read-only. Commits are refused, and records that were changed outside are reported and not
 * refused. On a full disk a part of the reserve is released. @throws Error that says what to do
 */
export async function openSqliteReader(path: string, options: ReadingOptions): Promise<FileRecords> {
  giveOutWhereFull(path)
  try {
    const { authenticator } = options
    const lost = authenticator && inspectDatabase(path, authenticator).fault
    const database = openReadOnly(path)
    try {
      if (pragma(database, 'user_version') !== schemaVersion)
        throw new Error('an older OwnKey wrote it. Start this OwnKey on its folder once, then look again.')
      checkTables(database)
      const { set, fault } = openSet(database, options)
      const reads = new SqliteReads(database, options)
      const copyTo = (to: string): Promise<void> => copyDatabase(database, to)
      return { ...readerOf(reads, set, lost ?? fault, () => closeReadOnly(database, path)), copyTo }
    } catch (error) {
      closeReadOnly(database, path)
      throw error
    }
  } catch (error) {
    throw openingFailure(path, error)
  }
}

function readerOf(
  reads: SqliteReads,
  set: RecordSet | undefined,
  fault: Error | undefined,
  end: () => void,
): RecordStore {
  let closed = false
  const commit = async (): Promise<never> => {
    throw fault ?? new Error('These records were opened to be read.')
  }
  return {
    properties: { shreds: true, shared: false },
    get: async (from, id) => reads.get(from, id),
    list: async (from, options) => reads.list(from, options),
    count: async (from, prefix) => reads.count(from, prefix),
    commit,
    transact: commit,
    watch: () => ({ close: () => {} }),
    head: async () => headOf(set, fault),
    async verify() {
      const found = await reads.verify(set, fault)
      const head = headOf(set, fault)
      return { ...found, ...(head === undefined ? {} : { head }) }
    },
    async close() {
      if (closed) return
      closed = true
      reads.close()
      end()
    },
  }
}
