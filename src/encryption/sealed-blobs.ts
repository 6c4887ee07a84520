import { createSecretKey, type KeyObject } from 'node:crypto'
import { deriveKey } from '../crypto/derive.ts'
import { openMetadata, openSealed, seal, sealMetadata } from '../crypto/sealed-blob.ts'
import { encodeContext, newDataKey, unwrap, wipe, wrap } from '../crypto/wrap.ts'
import type { Env } from '../env.ts'
import { AzureError } from '../http/errors.ts'
import type { BlobReader, BlobStore } from '../store/blobs.ts'
import { put, remove, type Change } from '../store/records.ts'
import { blobKeyOf, blobRecords, type BlobRecord, type DataKind } from './blob-records.ts'
import type { KeyRing } from './key-ring.ts'

export interface NewBlob {
  readonly accountId: string
  readonly kind: DataKind
  readonly source: AsyncIterable<Uint8Array>
  /** Sealed under the metadata key: whatever must not be read by a thief of the database. Known only after the source ended. */
  readonly metadata?: () => Uint8Array
}

/** An opened blob; its reads re-check the key lease as they go. */
export interface OpenBlob {
  /** Plaintext bytes. */
  readonly size: number
  /** Bytes from `start` up to `end` (exclusive); closes the blob when it ends. @throws KeyUnavailable in mid-stream */
  read(start?: number, end?: number): AsyncGenerator<Buffer>
  /** For a blob that is opened and not read. */
  close(): Promise<void>
}

/** R01: the only way to keep customer data: bytes go in as a stream and reach the blob store sealed. */
export class SealedBlobs {
  readonly #ring: KeyRing
  readonly #blobs: BlobStore
  readonly #env: Env
  readonly #deploymentRoot: KeyObject

  constructor(ring: KeyRing, blobs: BlobStore, env: Env, deploymentRoot: KeyObject) {
    this.#ring = ring
    this.#blobs = blobs
    this.#env = env
    this.#deploymentRoot = deploymentRoot
  }

  /**
   * Seals the source into a new blob, durable when it resolves. The blob exists once the caller has committed `changes`
   * (with its own record); until then it is an orphan that the next start sweeps.
   * @throws KeyUnavailable before the first byte, or in mid-stream when the lease ends
   */
  async create(blob: NewBlob): Promise<{ record: BlobRecord; changes: Change[] }> {
    const { accountId, kind } = blob
    const blobId = this.#env.uuid()
    const { generation } = await this.#wrappingKey(accountId, kind)
    const context = { accountId, kind, blobId, generation }
    const keyBytes = newDataKey()
    const key = createSecretKey(keyBytes)
    try {
      const sealed = seal(key, context, this.#underLease(accountId, kind, blob.source))
      const storedSize = await this.#blobs.create(blobId, sealed.bytes)
      const metadata =
        blob.metadata === undefined ? undefined : sealMetadata(key, sealed.header, context, blob.metadata())
      const { key: kek } = await this.#wrappingKey(accountId, kind, generation)
      const record: BlobRecord = {
        ...context,
        wrappedKey: wrap(kek, keyBytes, blobContext(context)).toString('base64'),
        header: sealed.header.toString('base64'),
        ...(metadata === undefined ? {} : { metadata: metadata.toString('base64') }),
        size: sealed.plaintextSize(),
        storedSize,
        createdAt: new Date(this.#env.now()).toISOString(),
      }
      return { record, changes: [put(blobRecords, blobKeyOf(accountId, blobId), record, 0)] }
    } finally {
      wipe(keyBytes)
    }
  }

  /** @throws KeyUnavailable; AzureError 500 DataCorrupted when the bytes are not what was stored */
  async open(record: BlobRecord): Promise<OpenBlob> {
    const key = await this.#blobKey(record)
    const reader = await this.#blobs.open(record.blobId)
    if (reader === undefined) throw corrupted(record, 'its sealed file is missing')
    try {
      const opened = await openSealed(key, contextOf(record), reader)
      if (opened.size !== record.size) throw corrupted(record, 'its size is not the recorded one')
      return {
        size: opened.size,
        read: (start, end) => this.#closing(reader, record, opened.read(start, end)),
        close: () => reader.close(),
      }
    } catch (error) {
      await reader.close()
      throw error instanceof AzureError ? error : corrupted(record, 'its sealed bytes were changed', error)
    }
  }

  /** The sealed metadata. @throws KeyUnavailable */
  async metadata(record: BlobRecord): Promise<Buffer> {
    if (record.metadata === undefined) return Buffer.alloc(0)
    const key = await this.#blobKey(record)
    return openMetadata(
      key,
      Buffer.from(record.header, 'base64'),
      contextOf(record),
      Buffer.from(record.metadata, 'base64'),
    )
  }

  /** R26, R28: the change destroys the only copy of the blob's key; call `unlink` once it is committed (with `shred`). */
  remove(record: Pick<BlobRecord, 'accountId' | 'blobId'>): { changes: Change[]; unlink: () => Promise<void> } {
    return {
      changes: [remove(blobRecords, blobKeyOf(record.accountId, record.blobId))],
      unlink: () => this.#blobs.remove(record.blobId),
    }
  }

  async #blobKey(record: BlobRecord): Promise<KeyObject> {
    const { key: kek } = await this.#wrappingKey(record.accountId, record.kind, record.generation)
    try {
      const bytes = unwrap(kek, Buffer.from(record.wrappedKey, 'base64'), blobContext(record))
      const key = createSecretKey(bytes)
      wipe(bytes)
      return key
    } catch (error) {
      throw corrupted(record, 'its wrapped key was changed', error)
    }
  }

  /** R25: a deployment's copy hangs on the service's own key, so that serving outlives a revocation and a restart. */
  async #wrappingKey(
    accountId: string,
    kind: DataKind,
    generation?: number,
  ): Promise<{ key: KeyObject; generation: number }> {
    if (kind === 'deployment')
      return { key: deriveKey(this.#deploymentRoot, 'ownkey/v1/deployment', Buffer.from(accountId)), generation: 0 }
    const keys = await this.#ring.leases.keys(accountId)
    const wanted = generation ?? keys.current
    const key = keys.byGeneration.get(wanted)
    if (key === undefined)
      throw new AzureError(
        'DataCorrupted',
        500,
        `The account has no data key of generation ${wanted}. Restore the database from a backup.`,
      )
    return { key, generation: wanted }
  }

  async *#underLease(accountId: string, kind: DataKind, source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      if (kind !== 'deployment') await this.#ring.leases.keys(accountId)
      yield chunk
    }
  }

  async *#closing(reader: BlobReader, record: BlobRecord, bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of bytes) {
        // R22: a download that began before the revocation stops within the lease too.
        if (record.kind !== 'deployment') await this.#ring.leases.keys(record.accountId)
        yield chunk
      }
    } catch (error) {
      throw error instanceof AzureError ? error : corrupted(record, 'its sealed bytes were changed', error)
    } finally {
      await reader.close()
    }
  }
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
    // Asking again changes nothing, and clients ask again after a 500 unless they are told.
    { cause, headers: { 'x-should-retry': 'false' } },
  )
}
