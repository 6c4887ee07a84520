import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { TestCloud } from '../support/cloud.ts'
import { removeRow, rowsIn, writeRows, type Row } from './folder.ts'

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))

/** `ownkey prove`: its exit code and its findings for each account. */
export function prove(cloud: TestCloud, ...args: string[]): Promise<{ code: number; problems: string; text: string }> {
  return new Promise(resolve => {
    const command = [cli, 'prove', '--data-dir', cloud.dataDir, '--format', 'json', ...args]
    execFile(process.execPath, command, (error, stdout, stderr) => {
      const { accounts = [] } = (stdout === '' ? {} : JSON.parse(stdout)) as {
        accounts?: { problems: readonly string[] }[]
      }
      const problems = accounts.flatMap(account => account.problems).join('\n')
      resolve({ code: Number(error?.code ?? 0), problems, text: `${stdout}${stderr}` })
    })
  })
}

/** Stops the cloud, writes to its database, and starts it again. */
export async function written(cloud: TestCloud, write: (folder: string) => void | Promise<void>): Promise<void> {
  await cloud.stop()
  await write(cloud.dataDir)
  await cloud.restart()
}

/** The rows with one of their fields changed. */
export function changed(rows: readonly Row[], fields: object): Row[] {
  return rows.map(row => ({ ...row, value: { ...row.value, ...fields } }))
}

/** The one row of that collection that fits. */
export function rowOf(folder: string, collection: string, is: (row: Row) => boolean): Row {
  const found = rowsIn(folder, collection).find(is)
  if (found === undefined) throw new Error(`There is no such row in ${collection}.`)
  return found
}

/** Writes while the cloud is stopped, runs the checks, and restores everything. */
export async function during(
  cloud: TestCloud,
  write: (folder: string) => readonly Row[],
  see: () => Promise<void>,
): Promise<void> {
  let before: readonly Row[] = []
  let planted: readonly Row[] = []
  await written(cloud, async folder => {
    planted = write(folder)
    before = planted.flatMap(({ collection, id }) => rowsIn(folder, collection).filter(row => row.id === id))
    await writeRows(folder, planted)
  })
  await see()
  await written(cloud, async folder => {
    for (const { collection, id } of planted) await removeRow(folder, collection, id)
    await writeRows(folder, before)
  })
}
