import { createHash } from 'node:crypto'
import { copyFile, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** Every file below a folder, sockets and the like left out. */
async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
}

export interface Search {
  readonly files: number
  readonly bytes: number
  /** Files in which one of the texts stands, as it is or in base64. */
  readonly found: readonly string[]
}

/** Searches each byte below a folder for texts that must not be there (R01). */
export async function searchFolder(folder: string, texts: readonly string[]): Promise<Search> {
  const needles = texts.flatMap(text => [
    Buffer.from(text),
    Buffer.from(Buffer.from(text).toString('base64').slice(4, 24)),
  ])
  const found: string[] = []
  let bytes = 0
  const paths = await filesBelow(folder)
  for (const path of paths) {
    // A file may be renamed or removed by the running service between the listing and the reading.
    const content = await readFile(path).catch(() => Buffer.alloc(0))
    bytes += content.length
    if (needles.some(needle => content.includes(needle))) found.push(path)
  }
  return { files: paths.length, bytes, found }
}

/** SHA-256 of each sealed blob, by path. */
export async function blobDigests(dataDir: string): Promise<Map<string, string>> {
  const digests = new Map<string, string>()
  for (const path of await filesBelow(join(dataDir, 'blobs')))
    digests.set(
      path,
      createHash('sha256')
        .update(await readFile(path))
        .digest('hex'),
    )
  return digests
}

/**
 * The wrapped data keys as they lie in the database, by record id, as an auditor reads them from a copy of the disk.
 * The running service has the database to itself, so this opens a copy.
 */
export async function wrappedKeys(dataDir: string): Promise<Map<string, string>> {
  const copy = await mkdtemp(join(tmpdir(), 'ownkey-copy-'))
  try {
    await copyFile(join(dataDir, 'records.db'), join(copy, 'records.db'))
    // Where there is no log, everything is in the database already.
    await copyFile(join(dataDir, 'records.db-wal'), join(copy, 'records.db-wal')).catch(() => undefined)
    const database = new DatabaseSync(join(copy, 'records.db'))
    const rows = database.prepare("SELECT id, value FROM records WHERE collection = 'encryption.data-keys'").all()
    database.close()
    return new Map(
      rows.map(row => [String(row['id']), (JSON.parse(text(row['value'])) as { wrapped: string }).wrapped]),
    )
  } finally {
    await rm(copy, { recursive: true, force: true })
  }
}

function text(value: unknown): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : String(value)
}

/** How many entries of `after` are not as they were. */
export function changed(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): number {
  return [...after].filter(([key, value]) => before.has(key) && before.get(key) !== value).length
}
