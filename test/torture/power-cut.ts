import { spawnSync } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { link, mkdir, mkdtemp, open, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Random } from '../support/random.ts'
import { readJournal, type DataRecord, type FolderRecord, type JournalRecord } from './power-journal.ts'

const SECTOR = 512

/** Why a power cut can't be simulated here; false where it can. */
export const noPowerCut =
  process.platform === 'linux' && spawnSync('gcc', ['--version']).status === 0 ? false : 'gcc is not installed'

let library: string | undefined

/** For this process. @throws Error with what the compiler says */
async function built(): Promise<string> {
  if (library !== undefined) return library
  const path = join(await mkdtemp(join(tmpdir(), 'ownkey-power-')), 'power.so')
  const source = fileURLToPath(new URL('power.c', import.meta.url))
  const { status, stderr } = spawnSync('gcc', ['-O2', '-shared', '-fPIC', '-o', path, source, '-ldl', '-lpthread'], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`power.c does not compile: ${stderr}`)
  process.once('exit', () => spawnSync('rm', ['-rf', dirname(path)]))
  return (library = path)
}

/**
 * Simulates a power cut below the file system's calls. power.c records what processes do to the files of a folder. Once they have ended,
 * changes without a sync are dropped or kept at random: writes to a file one by one, down to single sectors; changes of a folder (names
 * made, moved, removed) all from some point on. A name is durable once its folder was synced, which is less than most file systems give.
 */
export class PowerCut {
  readonly #folder: string
  readonly #journal: string
  readonly env: Readonly<Record<string, string>>

  private constructor(folder: string, journal: string, env: Readonly<Record<string, string>>) {
    this.#folder = folder
    this.#journal = journal
    this.env = env
  }

  /** Processes that are started with `env` write into one journal, until the cut. It lies on the same disk, beside the folder. */
  static async over(folder: string): Promise<PowerCut> {
    const journal = await mkdtemp(join(dirname(folder), 'power-'))
    const env = { LD_PRELOAD: await built(), OWNKEY_TEST_POWER_OF: folder, OWNKEY_TEST_POWER_TO: journal }
    return new PowerCut(folder, journal, env)
  }

  /** The processes must have ended. */
  async happen(random: Random): Promise<void> {
    const records = readJournal(await readFile(join(this.#journal, 'journal')).catch(() => Buffer.alloc(0)))
    const synced = new Map<bigint, number>()
    for (const [index, { kind, inode }] of records.entries()) if (kind === 'sync') synced.set(inode, index)
    const open = records.filter((record, index) => record.kind !== 'sync' && index > (synced.get(record.inode) ?? -1))
    await this.#loseNames(open, random)
    await this.#loseWrites(open, random)
    await rm(this.#journal, { recursive: true, force: true })
  }

  async #loseNames(records: readonly JournalRecord[], random: Random): Promise<void> {
    const all = records.filter((record): record is FolderRecord => 'path' in record)
    const lost = new Set<FolderRecord>()
    for (const folder of new Set(all.map(({ inode }) => inode))) {
      const own = all.filter(({ inode }) => inode === folder)
      for (const record of own.slice(random.below(own.length + 1))) lost.add(record)
    }
    for (const record of all.toReversed()) if (lost.has(record)) await this.#undo(record)
  }

  async #undo({ kind, path, from, kept }: FolderRecord): Promise<void> {
    const giveBack = async (): Promise<void> => {
      if (kept === undefined) return
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      await rm(path, { force: true })
      await link(join(this.#journal, kept), path)
    }
    if (kind === 'create') await rm(path, { force: true })
    else if (kind === 'mkdir') await rm(path, { recursive: true, force: true })
    else if (kind === 'unlink') await giveBack()
    else {
      // Its folder may have been lost already, and it with it.
      const isThere = await rename(path, from ?? path).then(
        () => true,
        () => false,
      )
      if (isThere) await giveBack()
    }
  }

  async #loseWrites(records: readonly JournalRecord[], random: Random): Promise<void> {
    const paths = new Map([...pathsByInode(this.#folder), ...pathsByInode(this.#journal)])
    const data = records.filter((record): record is DataRecord => 'after' in record)
    for (const inode of new Set(data.map(record => record.inode))) {
      const path = paths.get(inode)
      const own = data.filter(record => record.inode === inode)
      if (path !== undefined) await loseOf(path, own, random)
    }
  }
}

/** Undoes all of them, last first, then redoes some of them. */
async function loseOf(path: string, records: readonly DataRecord[], random: Random): Promise<void> {
  const file = await open(path, 'r+')
  try {
    for (const { kind, offset, size, before } of records.toReversed()) {
      if (before.length > 0) await file.write(before, 0, before.length, offset)
      if (kind === 'truncate' || offset + before.length >= size) await file.truncate(size)
    }
    const share = random.pick([0, 0.5, 0.9, 1])
    for (const { kind, offset, after } of records) {
      if (!random.chance(share)) continue
      if (kind === 'truncate') await file.truncate(offset)
      else if (random.chance(0.6)) await file.write(after, 0, after.length, offset)
      else await writeTorn(file, after, offset, random)
    }
  } finally {
    await file.close()
  }
}

/** Some of its sectors alone. */
async function writeTorn(
  file: Awaited<ReturnType<typeof open>>,
  bytes: Buffer,
  offset: number,
  random: Random,
): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const length = Math.min(SECTOR - ((offset + at) % SECTOR), bytes.length - at)
    if (random.chance(0.5)) await file.write(bytes, at, length, offset + at)
    at += length
  }
}

function pathsByInode(folder: string): [bigint, string][] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .map(path => [statSync(path, { bigint: true }).ino, path])
}
