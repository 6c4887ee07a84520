import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'

/** An attacker who can write the database of a stopped cloud, but has no key. */
export function writeDatabase(dataDir: string, sql: string, ...values: string[]): number {
  return inDatabase(dataDir, database => Number(database.prepare(sql).run(...values).changes))
}

export function readDatabase(dataDir: string, sql: string, ...values: string[]): Record<string, unknown>[] {
  return inDatabase(dataDir, database => database.prepare(sql).all(...values))
}

function inDatabase<T>(dataDir: string, work: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(join(dataDir, 'records.db'))
  try {
    return work(database)
  } finally {
    database.close()
  }
}

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))

/** The refusal of `ownkey start`, in one line. If the cloud starts, it is ended after 20 seconds, and the result is ''. */
export function refusedStart(dataDir: string, ...args: readonly string[]): Promise<string> {
  const all = [cli, 'start', '--data-dir', dataDir, '--port', '0', ...args]
  return new Promise(resolve => {
    execFile(process.execPath, all, { timeout: 20_000 }, (error, _, errors) =>
      resolve(error?.code === 1 || error?.code === 2 ? errors.replaceAll(/\s+/g, ' ') : ''),
    )
  })
}

/** What the cloud wrote into its own log. */
export function serviceLog(dataDir: string): Promise<string> {
  return readFile(join(dataDir, 'service.log'), 'utf8')
}
