import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Env } from '../base/env.ts'
import { AzureError, Conflict, NotFound } from '../http/errors.ts'
import { linkBlobs } from '../store/blob-files.ts'
import type { HeldBlobs } from '../store/held-blobs.ts'
import type { FileRecords } from '../store/records.ts'
import { BESIDE_RECORDS, copyPresent, dropSnapshot, RECORDS, SNAPSHOT } from './state-files.ts'

export interface SnapshotsOptions {
  readonly dataDir: string
  readonly records: Pick<FileRecords, 'copyTo'>
  readonly blobs: HeldBlobs
  readonly env: Env
  readonly log: (line: object) => void
}

/** A snapshot, as its caller gets it. */
export interface Snapshot {
  readonly id: string
  /** Whether its blobs are links below the snapshot. Otherwise they are copied from the folder itself, which removes none until it ends. */
  readonly linked: boolean
}

interface Current {
  readonly id: string
  readonly release: () => Promise<void>
  timer?: NodeJS.Timeout
  dropping?: Promise<void>
}

/** A snapshot that is not renewed for this long is removed, since it holds records of keys that may be destroyed meanwhile. Milliseconds. */
const IDLE_MS = 60_000
/** https://www.sqlite.org/rescode.html#full */
const FULL = 13

/**
 * The source of a backup of a running cloud: all records as of one moment, and every blob that they name, even if it is deleted in the
 * meantime. One at a time, below the data folder, readable by its owner alone.
 */
export class Snapshots {
  readonly #options: SnapshotsOptions
  #current: Current | undefined

  constructor(options: SnapshotsOptions) {
    this.#options = options
  }

  /** @throws 409 BackupInProgress, 507 InsufficientStorage */
  async begin(): Promise<Snapshot> {
    const { blobs, env } = this.#options
    // Both are in one folder.
    await this.#current?.dropping?.catch(() => undefined)
    if (this.#current !== undefined)
      throw new Conflict(
        'BackupInProgress',
        `A backup of this cloud is under way. Wait for its end; one that broke off is over after ${IDLE_MS / 1000} s.`,
      )
    // Before the records, so that every blob that they will name is held.
    const current: Current = { id: env.uuid(), release: blobs.hold() }
    this.#current = current
    try {
      const linked = await this.#make()
      if (linked) await current.release()
      this.renew(current.id)
      return { id: current.id, linked }
    } catch (error) {
      await this.#drop()
      throw failureOf(error)
    }
  }

  /** Renews the snapshot while its caller copies. @throws 404 BackupNotFound when the snapshot is gone */
  renew(id: string): void {
    const current = this.#mustBe(id)
    clearTimeout(current.timer)
    current.timer = setTimeout(() => {
      this.#options.log({ level: 'warning', message: 'A backup broke off: its snapshot is removed.' })
      this.#drop().catch((error: unknown) => this.#failed(error))
    }, IDLE_MS)
    current.timer.unref()
  }

  /** @throws 404 BackupNotFound */
  async end(id: string): Promise<void> {
    this.#mustBe(id)
    await this.#drop()
  }

  async close(): Promise<void> {
    await this.#drop()
  }

  async #make(): Promise<boolean> {
    const { dataDir, records } = this.#options
    await dropSnapshot(dataDir)
    const folder = join(dataDir, SNAPSHOT)
    await mkdir(folder, { mode: 0o700 })
    await copyPresent(dataDir, folder, BESIDE_RECORDS)
    await records.copyTo(join(folder, RECORDS))
    return linkBlobs(join(dataDir, 'blobs'), join(folder, 'blobs'))
  }

  #mustBe(id: string): Current {
    if (this.#current?.id === id && this.#current.dropping === undefined) return this.#current
    throw new NotFound('BackupNotFound', 'There is no such backup under way: begin again.')
  }

  /** Removes the snapshot. Until it is gone, no other one begins. */
  async #drop(): Promise<void> {
    const current = this.#current
    if (current === undefined) return
    clearTimeout(current.timer)
    current.dropping ??= this.#remove(current)
    await current.dropping
  }

  async #remove(current: Current): Promise<void> {
    // Nobody else must find the records, so they go first.
    try {
      await dropSnapshot(this.#options.dataDir)
    } finally {
      this.#current = undefined
      await current.release()
    }
  }

  #failed(error: unknown): void {
    this.#options.log({ level: 'error', message: 'A snapshot could not be removed', error: String(error) })
  }
}

function failureOf(error: unknown): unknown {
  const isFull =
    error instanceof Error &&
    (('errcode' in error && (Number(error.errcode) & 0xff) === FULL) || ('code' in error && error.code === 'ENOSPC'))
  if (!isFull) return error
  return new AzureError(
    'InsufficientStorage',
    507,
    'The disk of the data folder has no room for a copy of its records: make room for it, and try again.',
    { cause: error },
  )
}
