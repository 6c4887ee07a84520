import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { checkDataFolder } from '../base/data-folder.ts'
import type { RootKeys } from '../encryption/root-key.ts'
import { systemEnv } from '../base/env.ts'
import { plainError } from '../base/plain-error.ts'
import type { Progress } from '../base/progress.ts'
import { syncFolder } from '../store/atomic-file.ts'
import { faultAgainst, parseKnownHead } from '../store/known-head.ts'
import { openBackupSource, type BackupSource } from './backup-source.ts'
import { copyBlobs, type CopiedBlobs } from './copy-blobs.ts'
import { keyIdOf, readManifest, writeManifest, type Manifest } from './manifest.ts'
import { openState, type State } from './state.ts'
import { copyPresent, SECRETS, SETTINGS } from './state-files.ts'
import { openTarget, prune } from './target.ts'
import { rootKeysOf } from './stopped-folder.ts'

export interface BackupOptions {
  readonly dataDir: string
  readonly target: string
  /** Whether to copy root.key and the CA too. Anybody with such a backup has the data. */
  readonly withRootKey: boolean
  /** The version of the program, for the manifest. */
  readonly program: string
  readonly progress: Progress
}

export interface BackupReport extends Omit<Manifest, 'format' | 'state' | 'keyId'> {
  /** Whether a cloud ran in the folder. */
  readonly running: boolean
  readonly linked: number
  readonly copied: number
  /** Blobs of the former backup that no record names any more. */
  readonly removed: number
  /** Blobs that the folder lacks, or that are not whole. Everything else is in the backup. */
  readonly problems: readonly string[]
}

/**
 * Makes a backup, or brings one up to date. It adds what the former backup lacks, and at the end one file names the new state in place
 * of the old. Until then, and where anything fails, the former backup stays as it was.
 */
export async function writeBackup(options: BackupOptions): Promise<BackupReport> {
  const { dataDir, target } = options
  await checkDataFolder(dataDir)
  const lock = await openTarget(dataDir, target)
  try {
    const keys = await rootKeysOf(dataDir)
    const former = await readManifest(target)
    if (former !== undefined && former.keyId !== keyIdOf(keys))
      throw new Error(
        `${target} holds a backup of another cloud, made under another root key. Name a folder of its own for this one.`,
      )
    const source = await openBackupSource(dataDir, keys)
    const report = await copyFrom(source, options, keys, former)
      .catch(async (error: unknown) => {
        // The operator must see the first failure. A snapshot that is not renewed is removed by itself.
        await source.close().catch(() => undefined)
        throw error
      })
      .finally(() => options.progress.end())
    await source.close()
    return report
  } finally {
    await lock.release()
  }
}

async function copyFrom(
  source: BackupSource,
  options: BackupOptions,
  keys: RootKeys,
  former: Manifest | undefined,
): Promise<BackupReport> {
  const { dataDir, target, withRootKey, program, progress } = options
  const madeAt = new Date(systemEnv.now()).toISOString()
  const state = `state-${madeAt.replaceAll(/[^0-9TZ]/g, '')}-${systemEnv.uuid().slice(0, 8)}`
  const folder = join(target, state)
  await mkdir(folder, { mode: 0o700 })
  try {
    await source.fetch(folder)
    await copyPresent(dataDir, folder, SETTINGS)
    if (withRootKey) await copySecrets(dataDir, folder)
    const { records, log, count, head } = await openState(folder, keys)
    const how = { from: source.blobs, to: join(target, 'blobs'), link: true, progress }
    let blobs: CopiedBlobs
    try {
      if (former !== undefined) await mustBeLater({ records, log }, former, target)
      blobs = await copyBlobs(records, how)
    } finally {
      await records.close()
    }
    await source.confirm()
    await syncFolder(folder)
    await syncFolder(target)
    const { named, bytes, linked, copied, problems } = blobs
    const made = { program, madeAt, withRootKey, head, records: count, blobs: named.size, bytes }
    await writeManifest(target, { ...made, state, keyId: keyIdOf(keys) })
    const removed = await prune(target, state, id => named.has(id)).catch((error: unknown) => {
      throw new Error(
        `The backup is whole, but what it does not need any more could not all be removed: ${plainError(error)}`,
        { cause: error },
      )
    })
    return { ...made, running: source.running, linked, copied, removed, problems }
  } catch (error) {
    if (!(await isNamed(target, state))) await rm(folder, { recursive: true, force: true })
    throw error
  }
}

/**
 * Where a folder went back (to an older copy or a restored backup), only this backup may have what came after that point.
 * @throws Error where the backup's state is not an earlier one of this folder
 */
async function mustBeLater(
  { records, log }: Pick<State, 'records' | 'log'>,
  { madeAt, head }: Manifest,
  target: string,
): Promise<void> {
  const fault = await faultAgainst(parseKnownHead(head), records, log)
  if (fault === undefined) return
  throw new Error(
    `The backup of ${madeAt} in ${target} is of another or a later state than this cloud: ${fault}. It may hold what this one lacks, and stays as it is. Name another folder.`,
  )
}

/** Whether the backup names this state. From then on nothing may remove it, whatever fails. */
async function isNamed(target: string, state: string): Promise<boolean> {
  return readManifest(target).then(
    manifest => manifest?.state === state,
    () => true,
  )
}

async function copySecrets(dataDir: string, folder: string): Promise<void> {
  await mkdir(join(folder, 'ca'), { mode: 0o700 })
  const copied = await copyPresent(dataDir, folder, SECRETS)
  if (!copied.includes('root.key'))
    throw new Error(`${join(dataDir, 'root.key')} is not there: this cloud gets its root key from the environment.`)
}
