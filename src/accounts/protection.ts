import { blobRecords, isOwnBlob, type BlobRecord, type DataKind } from '../encryption/blob-records.ts'
import type { KeyRing } from '../encryption/key-ring.ts'
import { KeyUnavailable } from '../encryption/key-unavailable.ts'
import type { SealedBlobs } from '../encryption/sealed-blobs.ts'
import { AzureError, NotFound } from '../http/errors.ts'
import { everyRecord } from '../store/every-record.ts'
import type { Stored } from '../store/records.ts'
import type { Account } from './account.ts'
import { contradictions, type ContradictionsOptions } from './contradictions.ts'

/** One sealed blob and whose key it hangs on. */
export interface ProtectedBlob {
  readonly blobId: string
  readonly kind: DataKind
  /** Bytes of the data, and of what lies on the disk. */
  readonly size: number
  readonly storedSize: number
  readonly createdAt: string
  /** Generation of the account's data key; 0: a deployment's own copy. */
  readonly generation: number
  /** The key-encryption key that wraps that data key by now: a key identifier, or `service`. */
  readonly protectedBy: string
  /** A revocation closes it within a lease (R22 to R24); a deployment's copy stays open (R25). */
  readonly revocable: boolean
}

export interface Proof {
  readonly blobId: string
  readonly outcome: 'Opened' | 'KeyUnavailable' | 'Corrupted'
  readonly message?: string
}

/** Blobs of one answer; an account with more is proven in pages. */
const MOST = 1000
const SAMPLE = 64 * 1024
const SERVICE = 'service'

/** What of an account lies sealed on the disk, and that it opens under its key and under no other way. */
export class Protection {
  readonly #keyRing: KeyRing
  readonly #blobs: SealedBlobs
  readonly #references: ContradictionsOptions['references']

  constructor(keyRing: KeyRing, blobs: SealedBlobs, references: ContradictionsOptions['references']) {
    this.#keyRing = keyRing
    this.#blobs = blobs
    this.#references = references
  }

  /** Where what is stored of the account contradicts itself, one sentence each. */
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
   * Asks the vault anew, whatever the lease says, and opens each blob; `whole` reads every byte, else the first chunk.
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
      // One question to the vault answers for all of them; one that does not answer would let each blob wait as long again.
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
    // K5: a row that says it is another account's is told among the contradictions, and not opened.
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
