import { chmod, mkdir, readdir, readFile, rename, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isFolder } from '../base/data-folder.ts'
import { openRootKeys, type RootKeys } from '../encryption/root-key.ts'
import { writeHead } from './freshness.ts'
import type { Progress } from '../base/progress.ts'
import { syncFolder, writeFileAtomically } from '../store/atomic-file.ts'
import type { AuditLog } from '../store/audit-log.ts'
import { lockFolder } from '../store/folder-lock.ts'
import { formatKnownHead, presentHead } from '../store/known-head.ts'
import { copyBlobs, type CopiedBlobs } from './copy-blobs.ts'
import { keyIdOf, readManifest, type Manifest } from './manifest.ts'
import { BESIDE_RECORDS, copyPresent, RECORDS, RESTORING, SECRETS, SETTINGS } from './state-files.ts'
import { openState } from './state.ts'

export interface RestoreOptions {
  readonly target: string
  readonly dataDir: string
  /** Where the root key lies; absent: in the backup, or in OWNKEY_ROOT_KEY. */
  readonly rootKey?: string | undefined
  /** A head that was kept elsewhere. An older backup is refused. */
  readonly knownHead?: string | undefined
  /** Where the newest head of the cloud is kept (see freshness.ts). It is set to that of the restored folder. */
  readonly freshness?: string | undefined
  readonly progress: Progress
}

export interface RestoreReport {
  readonly madeAt: string
  readonly records: number
  readonly blobs: number
  readonly bytes: number
  readonly head: string
  /** Whether the folder has its former certificate authority. Otherwise a start makes a new one. */
  readonly withCa: boolean
  readonly withRootKey: boolean
  readonly problems: readonly string[]
}

/**
 * Makes a data folder from a backup. Everything is copied, so that neither depends on the other's files. Every record is checked against
 * its MAC, and the audit log says that it was restored. The records come last, so a folder that is only half restored can't be started.
 */
export async function restoreBackup(options: RestoreOptions): Promise<RestoreReport> {
  const { target, dataDir } = options
  if (!(await isFolder(target))) throw new Error(`There is no folder ${target}.`)
  const manifest = await readManifest(target)
  if (manifest === undefined) throw new Error(`${target} holds no backup: it has no backup.json.`)
  const rootKey = await findRootKey(options, manifest)
  await makeEmpty(dataDir)
  const lock = await lockFolder(dataDir)
  try {
    return await copyInto(options, manifest, rootKey)
  } finally {
    options.progress.end()
    await lock.release()
  }
}

interface FoundKey {
  readonly keys: RootKeys
  /** The key to put into the folder; absent: it stays in the environment. */
  readonly text?: string
}

/** @throws Error where it is missing, or is not the one that the backup was made under */
async function findRootKey({ target, rootKey }: RestoreOptions, manifest: Manifest): Promise<FoundKey> {
  const fromEnvironment = process.env['OWNKEY_ROOT_KEY']
  const file = rootKey ?? (manifest.withRootKey ? join(target, manifest.state, 'root.key') : undefined)
  if (file === undefined && fromEnvironment === undefined)
    throw new Error(
      'This backup has no root key in it. Name the file in which you keep it with --root-key, or set OWNKEY_ROOT_KEY.',
    )
  const text = file === undefined ? undefined : await readFile(file, 'utf8')
  const keys = await openRootKeys({ file: file ?? '', fromEnvironment: text ?? fromEnvironment })
  if (keyIdOf(keys) !== manifest.keyId)
    throw new Error(`${file ?? 'OWNKEY_ROOT_KEY'} is not the root key under which this backup was made.`)
  return { keys, ...(text === undefined ? {} : { text }) }
}

async function makeEmpty(dataDir: string): Promise<void> {
  if (!(await isFolder(dataDir))) await mkdir(dataDir, { recursive: true, mode: 0o700 })
  const names = (await readdir(dataDir)).filter(name => name !== 'lost+found')
  if (names.length > 0)
    throw new Error(
      `${dataDir} is not empty (${names.toSorted().slice(0, 3).join(', ')}${names.length > 3 ? ', …' : ''}): a backup is restored into a folder that is empty or not there yet.`,
    )
  await chmod(dataDir, 0o700)
}

async function copyInto(options: RestoreOptions, manifest: Manifest, { keys, text }: FoundKey): Promise<RestoreReport> {
  const { target, dataDir, knownHead, freshness, progress } = options
  const from = join(target, manifest.state)
  const [blobsFolder, staging] = [join(dataDir, 'blobs'), join(dataDir, RESTORING)]
  for (const folder of [blobsFolder, staging, join(dataDir, 'ca')]) await mkdir(folder, { mode: 0o700 })
  const secrets = await copyPresent(from, dataDir, SECRETS)
  await copyPresent(from, dataDir, SETTINGS)
  if (text !== undefined) await writeFileAtomically(join(dataDir, 'root.key'), text)
  await copyPresent(from, staging, [...BESIDE_RECORDS, RECORDS])
  const { records, log, count } = await openState(staging, keys, knownHead)
  let blobs: CopiedBlobs
  let head: string
  try {
    blobs = await copyBlobs(records, { from: join(target, 'blobs'), to: blobsFolder, link: false, progress })
    await mark(log, manifest)
    head = formatKnownHead(await presentHead(records, log))
  } finally {
    await records.close()
  }
  await bringIn(staging, dataDir)
  if (freshness !== undefined) await writeHead(freshness, head)
  return {
    madeAt: manifest.madeAt,
    records: count,
    blobs: blobs.named.size,
    bytes: blobs.bytes,
    head,
    withCa: secrets.includes('ca/ca-key.pem'),
    withRootKey: text !== undefined,
    problems: blobs.problems,
  }
}

/** The other files first, so that a start in between says that the records are missing. */
async function bringIn(staging: string, dataDir: string): Promise<void> {
  await syncFolder(join(dataDir, 'ca'))
  for (const name of (await readdir(staging)).toSorted((a, b) => Number(a === RECORDS) - Number(b === RECORDS)))
    await rename(join(staging, name), join(dataDir, name))
  await rmdir(staging)
  await syncFolder(dataDir)
}

/** The folder's own log says from what it was restored. */
async function mark(log: AuditLog, { madeAt, head }: Manifest): Promise<void> {
  await log.append({
    operationName: 'OwnKey/backup/restored',
    category: 'AuditEvent',
    resultType: 'Success',
    resultDescription: `This folder was restored from the backup of ${madeAt}: what came after it is not here`,
    callerIpAddress: 'service',
    properties: { madeAt, head },
  })
}
