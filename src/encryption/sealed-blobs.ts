import { createSecretKey, type KeyObject } from 'node:crypto'
import { deriveKey } from '../crypto/derive.ts'
import type { GcmKey } from '../crypto/gcm.ts'
import { openMetadata, openSealed, seal, sealMetadata, type OpenedBlob } from '../crypto/sealed-blob.ts'
import { encodeContext, newDataKey, unwrap, wipe, wrap } from '../crypto/wrap.ts'
import type { Env } from '../base/env.ts'
import { AzureError } from '../http/errors.ts'
import type { BlobStore } from '../store/blobs.ts'
import { put, remove, type Change, type Stored } from '../store/records.ts'
import { CommitUnknown } from '../store/storage-errors.ts'
import {
  blobGone,
  blobKeyOf,
  blobRecords,
  fileOf,
  fileOfAttempt,
  type BlobRecord,
  type DataKind,
  isFileOf,
  isOwnBlob,
  rewrittenPrefix,
} from './blob-records.ts'
import { Cut } from './cut.ts'
import { heldBy, retired } from './key-ring-rows.ts'
import { keysWith, type KeyRing } from './key-ring.ts'
import type { PlaintextHold } from './plaintext-holds.ts'
import { recordTampered } from './record-tampered.ts'
import { RestingReader, FileGone } from './resting-reader.ts'

export interface NewBlob {
  readonly accountId: string
  readonly kind: DataKind
  readonly source: AsyncIterable<Uint8Array>
  /** Metadata, sealed so that a thief of the database can't read it. It is known only after the source ended. */
  readonly metadata?: () => Uint8Array
}

/** An opened blob. Reads check the key lease again and again. It holds no file until it is read. */
export interface OpenBlob {
  /** Plaintext bytes. */
  readonly size: number
  /** Bytes from `start` up to `end` (exclusive). @throws KeyUnavailable in mid-stream, 404 when it was deleted before it began */
  read(start?: number, end?: number): AsyncGenerator<Buffer>
  /** Aborted when the lease of the read ends. Data that was read and waits in a queue must then be dropped. */
  readonly cut: AbortSignal
}

type BlobName = Pick<BlobRecord, 'accountId' | 'blobId' | 'storedAs'>

/** The removal of a blob: `changes` for the caller's commit, `unlink` for afterwards. */
export interface Removal {
  readonly changes: Change[]
  /** The blob's key is gone by then. So a file that the disk keeps is no failure of the removal: it is told, and set aside later. */
  readonly unlink: () => Promise<void>
}

export interface SealedBlobsOptions {
  readonly ring: KeyRing
  readonly blobs: BlobStore
  readonly env: Env
  /** AES-256. Wraps the blob keys of deployments' copies. */
  readonly deploymentRoot: KeyObject
  /** Called with the account when a blob was removed or sealed anew, after the commit. */
  readonly onChange?: (accountId: string) => void
  /** Called with a removed blob whose file the disk keeps. */
  readonly onKept?: (blobId: string, error: unknown) => void
}

/** R01: the only way to store customer data. Bytes go in as a stream and reach the blob store sealed. */
export class SealedBlobs {
  readonly #ring: KeyRing
  readonly #blobs: BlobStore
  readonly #env: Env
  readonly #deploymentRoot: KeyObject
  readonly #onChange: (accountId: string) => void
  readonly #onKept: (blobId: string, error: unknown) => void
  readonly #writing = new Set<Pick<BlobRecord, 'accountId' | 'generation'>>()

  constructor(options: SealedBlobsOptions) {
    const { ring, blobs, env, deploymentRoot, onChange = () => {}, onKept = () => {} } = options
    this.#ring = ring
    this.#blobs = blobs
    this.#env = env
    this.#deploymentRoot = deploymentRoot
    this.#onChange = onChange
    this.#onKept = onKept
  }

  /**
   * Seals the source into a new blob, durable when it resolves. The blob exists once the caller has committed `changes`
   * (with its own record); until then it is an orphan, which the next start sets aside (ADR 0024).
   * @throws KeyUnavailable before the first byte, or in mid-stream when the lease ends
   */
  async create(blob: NewBlob): Promise<{ record: BlobRecord; changes: Change[] }> {
    const blobId = this.#env.uuid()
    const record = await this.#write(blob, blobId, () => blobId)
    return { record, changes: [put(blobRecords, blobKeyOf(blob.accountId, blobId), record, 0), ...held(record)] }
  }

  /**
   * Seals a blob anew, under a new blob key and the account's current data key, into a file beside the present one. `changes`
   * puts it in the place of the former if nobody removed that meanwhile. After the commit call `settle`, otherwise `undo`.
   * @param through a transform that the plaintext passes, such as a limit on its rate. @throws KeyUnavailable, DataCorrupted
   */
  async rewrite(
    { id, version, value }: Stored<BlobRecord>,
    through: (bytes: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>,
  ): Promise<{ changes: Change[]; settle: () => Promise<void>; undo: () => Promise<void> }> {
    const { accountId, kind, blobId, createdAt } = value
    if (id !== blobKeyOf(accountId, blobId)) throw recordTampered(`the blob ${blobId}`)
    const secrets = value.metadata === undefined ? undefined : await this.metadata(value)
    const opened = await this.open(value)
    const source = through(opened.read())
    const blob = { accountId, kind, source, ...(secrets === undefined ? {} : { metadata: () => secrets }) }
    const attempt = this.#env.uuid().slice(0, 8)
    const record = await this.#write(blob, blobId, generation => fileOfAttempt(blobId, generation, attempt))
    return {
      changes: [put(blobRecords, id, { ...record, createdAt }, version), ...held(record)],
      settle: () => {
        this.#onChange(accountId)
        return this.#blobs.remove(fileOf(value))
      },
      undo: () => this.#blobs.remove(fileOf(record)),
    }
  }

  /** Whether something is being sealed for the account under a data key before `generation`. */
  isWriting(accountId: string, generation: number): boolean {
    return [...this.#writing].some(one => one.accountId === accountId && one.generation < generation)
  }

  async #write(blob: NewBlob, blobId: string, nameOf: (generation: number) => string): Promise<BlobRecord> {
    const { accountId, kind } = blob
    const { generation } = await this.#wrappingKey(accountId, kind)
    const context = { accountId, kind, blobId, generation }
    const name = nameOf(generation)
    const keyBytes = newDataKey()
    const key = createSecretKey(keyBytes)
    this.#writing.add(context)
    try {
      const sealed = seal(key, context, this.#underLease(accountId, kind, blob.source))
      const storedSize = await this.#blobs.create(name, sealed.bytes)
      const finish = async (): Promise<BlobRecord> => {
        const metadata =
          blob.metadata === undefined ? undefined : sealMetadata(key, sealed.header, context, blob.metadata())
        const { key: kek } = await this.#wrappingKey(accountId, kind, generation)
        return {
          ...context,
          ...(name === blobId ? {} : { storedAs: name }),
          wrappedKey: wrap(kek, keyBytes, blobContext(context)).toString('base64'),
          header: sealed.header.toString('base64'),
          ...(metadata === undefined ? {} : { metadata: metadata.toString('base64') }),
          size: sealed.plaintextSize(),
          storedSize,
          createdAt: new Date(this.#env.now()).toISOString(),
        }
      }
      return await finish().catch(async (error: unknown) => {
        await this.#blobs.remove(name)
        // A re-encryption by another process does not know what is written here, and has destroyed the data key.
        throw error instanceof GenerationMissing ? retired(context) : error
      })
    } finally {
      this.#writing.delete(context)
      wipe(keyBytes)
    }
  }

  /** @throws KeyUnavailable; AzureError 500 DataCorrupted when the bytes are not what was stored, 404 when it was deleted meanwhile */
  async open(given: BlobRecord): Promise<OpenBlob> {
    const opened = await this.#openFile(given)
    const cut = new Cut()
    return {
      size: opened.content.size,
      read: (start, end) => this.#read(opened, cut, [start, end]),
      get cut() {
        return cut.signal
      },
    }
  }

  /** Header and end were checked, and the file is closed until it is read. */
  async #openFile(given: BlobRecord): Promise<OpenedFile> {
    const { record, key } = await this.#blobKey(given)
    const file = await RestingReader.of(() => this.#blobs.open(fileOf(record)))
    const moved = file === undefined ? await this.#rewritten(record) : undefined
    if (moved !== undefined) return this.#openFile(moved)
    if (file === undefined)
      throw (await this.#isGone(record)) ? blobGone() : corrupted(record, 'its sealed file is missing')
    try {
      const content = await openSealed(key, contextOf(record), file)
      if (content.size !== record.size) throw corrupted(record, 'its size is not the recorded one')
      return { record, file, content }
    } catch (error) {
      throw error instanceof AzureError ? error : corrupted(record, 'its sealed bytes were changed', error)
    } finally {
      await file.rest()
    }
  }

  /** The sealed metadata. @throws KeyUnavailable */
  async metadata(given: BlobRecord): Promise<Buffer> {
    if (given.metadata === undefined) return Buffer.alloc(0)
    const { record, key } = await this.#blobKey(given)
    if (record.metadata === undefined) return Buffer.alloc(0)
    return openMetadata(
      key,
      Buffer.from(record.header, 'base64'),
      contextOf(record),
      Buffer.from(record.metadata, 'base64'),
    )
  }

  /**
   * R26, R28: the change destroys the only copy of the blob's key. Call `unlink` once it is committed (with `shred`). K5: where a row names
   * a blob of which this account has no record, nothing is removed, since it may be another account's.
   */
  async remove(accountId: string, blobId: string): Promise<Removal> {
    const stored = await this.#ring.records.get(blobRecords, blobKeyOf(accountId, blobId))
    return stored === undefined ? { changes: [], unlink: async () => undefined } : this.removeStored(accountId, stored)
  }

  /**
   * The same for one of the account's own records. A record that names another account is removed without its file.
   * `unlinkFirst` is for before the commit, which keeps the record where the file can't be removed. @throws from `unlinkFirst`
   */
  removeStored(accountId: string, stored: Stored<BlobRecord>): Removal & { readonly unlinkFirst: () => Promise<void> } {
    const isOwn = isOwnBlob(stored, accountId)
    const unlinkFirst = async (): Promise<void> => (isOwn ? this.#unlink(stored.value) : undefined)
    const unlink = (): Promise<void> =>
      unlinkFirst().catch((error: unknown) => {
        if (error instanceof CommitUnknown) throw error
        this.#onKept(stored.value.blobId, error)
      })
    return { changes: [remove(blobRecords, stored.id)], unlink, unlinkFirst }
  }

  /**
   * Removes the file of a sealed blob that no record names; its key is gone already. Where the file can't be removed, it is set aside later,
   * and the error does not hide the reason why the blob is not kept.
   */
  async discard(record: BlobName): Promise<void> {
    await this.#unlink(record).catch(() => undefined)
  }

  async #unlink(record: BlobName): Promise<void> {
    const { accountId, blobId } = record
    this.#onChange(accountId)
    const names = new Set([fileOf(record), blobId])
    // A re-encryption may have given it another file meanwhile.
    if ([...(await this.#ring.generations(accountId)).keys()].some(generation => generation > 1))
      for await (const name of this.#blobs.list(rewrittenPrefix(blobId))) if (isFileOf(name, blobId)) names.add(name)
    for (const name of names) await this.#blobs.remove(name)
  }

  /** The blob's key, and its record, since a re-encryption may have replaced the given one. */
  async #blobKey(given: BlobRecord): Promise<{ record: BlobRecord; key: KeyObject }> {
    const { accountId, kind, generation } = given
    const kek = await this.#wrappingKey(accountId, kind, generation).catch(async (error: unknown) => {
      const record = error instanceof GenerationMissing ? await this.#rewritten(given) : undefined
      if (record === undefined) throw error
      return { record, ...(await this.#wrappingKey(accountId, kind, record.generation)) }
    })
    const record = 'record' in kek ? kek.record : given
    try {
      const bytes = unwrap(kek.key, Buffer.from(record.wrappedKey, 'base64'), blobContext(record))
      const key = createSecretKey(bytes)
      wipe(bytes)
      return { record, key }
    } catch (error) {
      throw corrupted(record, 'its wrapped key was changed', error)
    }
  }

  /** The new record, where a re-encryption has replaced it. */
  async #rewritten({ accountId, blobId, generation }: BlobRecord): Promise<BlobRecord | undefined> {
    const now = (await this.#ring.records.get(blobRecords, blobKeyOf(accountId, blobId)))?.value
    return now !== undefined && now.generation > generation ? now : undefined
  }

  async #isGone({ accountId, blobId }: BlobRecord): Promise<boolean> {
    return (await this.#ring.records.get(blobRecords, blobKeyOf(accountId, blobId))) === undefined
  }

  /** R25: a deployment's copy is under the service's own key, so that serving outlives a revocation and a restart. */
  async #wrappingKey(
    accountId: string,
    kind: DataKind,
    generation?: number,
  ): Promise<{ key: GcmKey; generation: number }> {
    if (kind === 'deployment')
      return { key: deriveKey(this.#deploymentRoot, 'ownkey/v1/deployment', Buffer.from(accountId)), generation: 0 }
    const held = await keysWith(this.#ring, accountId, generation)
    const wanted = generation ?? held.current
    const key = held.byGeneration.get(wanted)
    if (key === undefined) throw new GenerationMissing(wanted)
    return { key: key.bytes, generation: wanted }
  }

  async *#underLease(accountId: string, kind: DataKind, source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      if (kind !== 'deployment') await this.#ring.leases.keys(accountId)
      yield chunk
    }
  }

  async *#read(opened: OpenedFile, cut: Cut, range: ByteRange): AsyncGenerator<Buffer> {
    let isGone = false
    try {
      yield* this.#readUnderLease(opened, cut, range)
    } catch (error) {
      if (!(error instanceof FileGone)) throw error
      isGone = true
    }
    // Nothing was read yet, so a file that was opened again stays open.
    if (isGone) yield* this.#readUnderLease(await this.#openFile(opened.record), cut, range)
  }

  async *#readUnderLease({ record, file, content }: OpenedFile, cut: Cut, range: ByteRange): AsyncGenerator<Buffer> {
    const { leases } = this.#ring
    let hold: PlaintextHold | undefined
    try {
      hold = record.kind === 'deployment' ? undefined : await leases.hold(record.accountId)
      if (hold !== undefined) cut.follow(hold)
      for await (const chunk of content.read(...range)) {
        // R22: a download that began before the revocation also stops within the lease.
        if (hold !== undefined) await leases.check(record.accountId, hold)
        yield chunk
      }
    } catch (error) {
      const isKnown = error instanceof AzureError || error instanceof FileGone
      throw isKnown ? error : corrupted(record, 'its sealed bytes were changed', error)
    } finally {
      hold?.release()
      await file.rest()
    }
  }
}

/** The range of the plaintext; absent: the whole. */
type ByteRange = readonly [start?: number | undefined, end?: number | undefined]

interface OpenedFile {
  readonly record: BlobRecord
  readonly file: RestingReader
  readonly content: OpenedBlob
}

class GenerationMissing extends AzureError {
  constructor(generation: number) {
    super(
      'DataCorrupted',
      500,
      `The account has no data key of generation ${generation}. Restore the database from a backup.`,
    )
  }
}

/** R26: sealed data may only be acknowledged while its data key exists. */
function held({ accountId, generation }: BlobRecord): Change[] {
  return generation === 0 ? [] : heldBy(accountId, generation)
}

function contextOf(record: BlobRecord): { accountId: string; kind: string; blobId: string; generation: number } {
  const { accountId, kind, blobId, generation } = record
  return { accountId, kind, blobId, generation }
}

function blobContext(context: { accountId: string; kind: string; blobId: string; generation: number }): Buffer {
  return encodeContext('blob key', context.accountId, context.kind, context.blobId, context.generation)
}

function corrupted(record: Pick<BlobRecord, 'blobId'>, why: string, cause?: unknown): AzureError {
  return new AzureError(
    'DataCorrupted',
    500,
    `The blob ${record.blobId} can't be opened: ${why}. Restore it from a backup.`,
    // Clients repeat after a 500 unless they are told not to, and repeating does not help here.
    { cause, headers: { 'x-should-retry': 'false' } },
  )
}
