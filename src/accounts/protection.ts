import { blobRecords, isOwnBlob, type BlobRecord, type DataKind } from '../encryption/blob-records.ts'
import type { KeyRing } from '../encryption/key-ring.ts'
import { KeyUnavailable } from '../encryption/key-unavailable.ts'
import type { SealedBlobs } from '../encryption/sealed-blobs.ts'
import { AzureError, NotFound } from '../http/errors.ts'
import { everyRecord } from '../store/every-record.ts'
import type { Stored } from '../store/records.ts'
import type { Account } from './account.ts'
import { contradictions, type ContradictionsOptions } from './contradictions.ts'

/** One sealed blob and the key that it depends on. */
export interface ProtectedBlob {
  readonly blobId: string
  readonly kind: DataKind
  /** Bytes of the data, and of the sealed file. */
  readonly size: number
  readonly storedSize: number
  readonly createdAt: string
  /** Generation of the account's data key; 0: a deployment's own copy. */
  readonly generation: number
  /** The key-encryption key that currently wraps that data key: a key identifier, or `service`. */
  readonly protectedBy: string
  /** Whether a revocation closes it within a lease (R22 to R24). A deployment's copy stays open (R25). */
  readonly revocable: boolean
}

export interface Proof {
  readonly blobId: string
  readonly outcome: 'Opened' | 'KeyUnavailable' | 'Corrupted'
  readonly message?: string
}

/** The most blobs of one answer. An account with more is proven in pages. */
const MOST = 1000
const SAMPLE = 64 * 1024
const SERVICE = 'service'

/** Shows an account's sealed blobs, and proves that they open under its key and only under that. */
export class Protection {
  readonly #keyRing: KeyRing
  readonly #blobs: SealedBlobs
  readonly #references: ContradictionsOptions['references']

  constructor(keyRing: KeyRing, blobs: SealedBlobs, references: ContradictionsOptions['references']) {
    this.#keyRing = keyRing
    this.#blobs = blobs
    this.#references = references
  }

  /** Contradictions between the account's records, one sentence each. */
  contradictions({ accountId }: Account): Promise<string[]> {
    return contradictions({ ring: this.#keyRing, references: this.#references }, accountId)
  }

  /** @param after the last blob id of the page before */
  async list(account: Account, after?: string): Promise<{ blobs: ProtectedBlob[]; next?: string }> {
    const { records, next } = await this.#page(account, after)
    const wrappedBy = await this.#keyRing.generations(account.accountId)
    return { blobs: records.map(record => shown(record, wrappedBy)), ...(next === undefined ? {} : { next }) }
  }

  /**
   * Asks the vault anew, also during a lease, and opens each blob. `whole` reads every byte, otherwise only the first chunk.
   * @returns no data: only whether it opened
   */
  async prove(
    account: Account,
    options: { after?: string; whole: boolean },
  ): Promise<{ proofs: Proof[]; next?: string }> {
    this.#keyRing.leases.end(account.accountId)
    const { records, next } = await this.#page(account, options.after)
    const proofs: Proof[] = []
    let refusal: KeyUnavailable | undefined
    for (const record of records) {
      const { blobId, generation } = record
      // One question to the vault is enough for all blobs. If it does not answer, each blob would wait as long again.
      if (refusal !== undefined && generation !== 0)
        proofs.push({ blobId, outcome: 'KeyUnavailable', message: refusal.message })
      else {
        const found = await this.#open(record, options.whole)
        if (found === undefined) continue
        const { refused, ...proof } = found
        if (refused !== undefined) refusal = refused
        proofs.push(proof)
      }
    }
    return { proofs, ...(next === undefined ? {} : { next }) }
  }

  /** Undefined: it was deleted meanwhile. */
  async #open(
    record: BlobRecord,
    whole: boolean,
  ): Promise<(Proof & { readonly refused?: KeyUnavailable }) | undefined> {
    const { blobId } = record
    try {
      const opened = await this.#blobs.open(record)
      let bytes = 0
      for await (const chunk of opened.read(0, whole ? opened.size : Math.min(SAMPLE, opened.size)))
        bytes += chunk.length
      return { blobId, outcome: 'Opened', message: `${bytes} of ${opened.size} bytes read` }
    } catch (error) {
      if (error instanceof KeyUnavailable)
        return { blobId, outcome: 'KeyUnavailable', message: error.message, refused: error }
      if (error instanceof NotFound) return undefined
      if (error instanceof AzureError) return { blobId, outcome: 'Corrupted', message: error.message }
      throw error
    }
  }

  async #page({ accountId }: Account, after: string | undefined): Promise<{ records: BlobRecord[]; next?: string }> {
    const all = { prefix: `${accountId}/`, ...(after === undefined ? {} : { after: `${accountId}/${after}` }) }
    const found: Stored<BlobRecord>[] = []
    for await (const stored of everyRecord(this.#keyRing.records, blobRecords, all))
      if (found.push(stored) === MOST) break
    // K5: a row that names another account is reported as a contradiction, and is not opened.
    const records = found.filter(stored => isOwnBlob(stored, accountId)).map(({ value }) => value)
    const last = found.at(-1)
    return {
      records,
      ...(found.length === MOST && last !== undefined ? { next: last.id.slice(accountId.length + 1) } : {}),
    }
  }
}

function shown(record: BlobRecord, wrappedBy: ReadonlyMap<number, string>): ProtectedBlob {
  const { blobId, kind, size, storedSize, createdAt, generation } = record
  const kekId = generation === 0 ? SERVICE : (wrappedBy.get(generation) ?? 'missing')
  const protectedBy = kekId.startsWith('service:') ? SERVICE : kekId
  return { blobId, kind, size, storedSize, createdAt, generation, protectedBy, revocable: protectedBy !== SERVICE }
}
