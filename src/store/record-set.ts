import { equalSecrets } from '../crypto/derive.ts'
import { compareIds } from './record-rules.ts'
import { RecordsChanged } from './records.ts'
import type { RecordAuthenticator } from './record-mac.ts'

const lanes = 8
/** The name of the sum over all collections. */
const all = ''
/** Audit entries have a chain of their own (audit-chain.ts), whose head is a record of the set. So a long log does not slow a start. */
export const chainedCollection = 'audit-entries'

/** A stored sum: after which commit, over how many records, and its MAC. */
export interface SetHead {
  readonly collection: string
  readonly counter: number
  readonly rows: number
  readonly tag: string
}

interface Sum {
  rows: number
  /** Lane-wise modulo 2^32: the group (Z/2^32)^8, in which a sum of pseudorandom summands does not show its summands. */
  readonly lanes: Uint32Array
}

/** A scan of all records in their order, some at a time. It follows writes to records that it has passed. */
export class SetScan {
  readonly set: RecordSet
  #passed = ''

  constructor(authenticator: RecordAuthenticator) {
    this.set = new RecordSet(authenticator)
  }

  /** The next record. @returns false when it belongs before one that was passed, so they are out of order */
  pass(collection: string, id: string, tag: Uint8Array): boolean {
    if (!this.skipTo(collection, id)) return false
    this.set.add(collection, tag)
    this.set.keep()
    return true
  }

  /** Marks everything up to there as scanned. */
  skipTo(collection: string, id: string): boolean {
    const key = keyOf(collection, id)
    if (compareIds(this.#passed, key) >= 0) return false
    this.#passed = key
    return true
  }

  hasPassed(collection: string, id: string): boolean {
    return compareIds(keyOf(collection, id), this.#passed) <= 0
  }
}

const keyOf = (collection: string, id: string): string => `${collection}\0${id}`

/**
 * The running multiset hash of all records: the sum of HMACs of their MACs (MSet-Add-Hash of Clarke, Devadas, van Dijk, Gassend and Suh,
 * 2003). It follows each commit at a cost that does not grow with the number of records, within the commit's transaction.
 */
export class RecordSet {
  readonly #authenticator: RecordAuthenticator
  readonly #sums = new Map<string, Sum>()
  /** The sums before the current transaction. */
  readonly #former = new Map<string, Sum | undefined>()
  /** Scans under way. */
  readonly #scans = new Set<SetScan>()
  #counter = 0
  #formerCounter = 0

  constructor(authenticator: RecordAuthenticator) {
    this.#authenticator = authenticator
  }

  /** How many transactions wrote into the store since its records have MACs. */
  get counter(): number {
    return this.#counter
  }

  get rows(): number {
    return this.#sums.get(all)?.rows ?? 0
  }

  /** A record was added; `tag` is its MAC. */
  add(collection: string, tag: Uint8Array): void {
    this.#change(collection, tag, 1)
  }

  /** A record was removed, or will be overwritten. */
  take(collection: string, tag: Uint8Array): void {
    this.#change(collection, tag, -1)
  }

  /** A record is written or removed; by the MACs before and after. */
  replace(collection: string, id: string, former: Uint8Array | undefined, tag: Uint8Array | undefined): void {
    for (const set of [
      this,
      ...[...this.#scans].filter(scan => scan.hasPassed(collection, id)).map(scan => scan.set),
    ]) {
      if (former !== undefined) set.take(collection, former)
      if (tag !== undefined) set.add(collection, tag)
    }
  }

  /** Runs a scan of the records, which must result in this same set, however long it takes. */
  async whileScanned<T>(look: (scan: SetScan) => Promise<T>): Promise<T> {
    const scan = new SetScan(this.#authenticator)
    this.#scans.add(scan)
    try {
      return await look(scan)
    } finally {
      this.#scans.delete(scan)
    }
  }

  /** Ends a transaction. Returns the head over everything, to write with it; none where nothing was written. */
  advance(): SetHead[] {
    if (this.#former.size === 0) return []
    this.#counter += 1
    return [this.#headOf(all, this.#counter)]
  }

  /** The transaction was committed. */
  keep(): void {
    for (const { set } of this.#scans) set.keep()
    this.#former.clear()
    this.#formerCounter = this.#counter
  }

  /** The transaction was rolled back. */
  revert(): void {
    for (const { set } of this.#scans) set.revert()
    for (const [collection, sum] of this.#former) {
      if (sum === undefined) this.#sums.delete(collection)
      else this.#sums.set(collection, sum)
    }
    this.#former.clear()
    this.#counter = this.#formerCounter
  }

  /**
   * Takes over the counter of the stored heads, and returns the collections whose records don't fit their heads. Heads of collections are
   * only written at a clean end. After a crash they are old, so the collection can't be named.
   */
  check(stored: readonly SetHead[]): RecordsChanged | undefined {
    const whole = stored.find(({ collection }) => collection === all)
    this.#counter = this.#formerCounter = whole?.counter ?? 0
    if (whole !== undefined && this.#fits(whole)) return undefined
    const present = stored.filter(({ counter }) => counter === whole?.counter)
    const names = new Set(
      present.length > 1 ? [...present.map(({ collection }) => collection), ...this.#sums.keys()] : [],
    )
    names.delete(all)
    const changed = [...names].filter(name => {
      const head = present.find(({ collection }) => collection === name)
      return head === undefined ? (this.#sums.get(name)?.rows ?? 0) > 0 : !this.#fits(head)
    })
    return new RecordsChanged(changed.sort())
  }

  /** Whether this set, from a scan of the database, is the one that the other has followed commit by commit. */
  equals(other: RecordSet): RecordsChanged | undefined {
    const names = new Set([...this.#sums.keys(), ...other.#sums.keys()])
    const changed = [...names].filter(name => {
      const [one, two] = [this.#sums.get(name) ?? emptySum(), other.#sums.get(name) ?? emptySum()]
      return one.rows !== two.rows || !one.lanes.every((lane, index) => lane === two.lanes[index])
    })
    return changed.length === 0 ? undefined : new RecordsChanged(changed.filter(name => name !== all).sort())
  }

  /** The name of this state: the counter, and the MAC of the sum over everything. */
  head(): { readonly counter: number; readonly tag: string } {
    return this.#headOf(all, this.#counter)
  }

  /** All heads after the last transaction, for a clean end or the first write. */
  heads(): SetHead[] {
    if (!this.#sums.has(all)) this.#sums.set(all, emptySum())
    return [...this.#sums.keys()].map(collection => this.#headOf(collection, this.#counter))
  }

  /** Raises the counter, where it is lower. */
  skipTo(counter: number): void {
    this.#counter = this.#formerCounter = Math.max(this.#counter, counter)
  }

  /** All heads one step on, for a set that the operator accepts. */
  renewed(): SetHead[] {
    this.#counter += 1
    const heads = this.heads()
    this.keep()
    return heads
  }

  #headOf(collection: string, counter: number): SetHead {
    const { rows, lanes: sum } = this.#sums.get(collection) ?? emptySum()
    return { collection, counter, rows, tag: this.#authenticator.headOf(collection, counter, rows, bytesOf(sum)) }
  }

  #fits({ collection, counter, rows, tag }: SetHead): boolean {
    const sum = this.#sums.get(collection) ?? emptySum()
    if (rows !== sum.rows) return false
    return equalSecrets(tag, this.#authenticator.headOf(collection, counter, rows, bytesOf(sum.lanes)))
  }

  #change(collection: string, tag: Uint8Array, sign: 1 | -1): void {
    if (collection === chainedCollection) return
    const summand = this.#authenticator.summandOf(tag)
    for (const name of [collection, all]) {
      const sum = this.#touch(name)
      sum.rows += sign
      for (let lane = 0; lane < lanes; lane++) {
        sum.lanes[lane] = (sum.lanes[lane] ?? 0) + sign * summand.readUInt32BE(4 * lane)
      }
    }
  }

  /** The sum to change; its former state is kept. */
  #touch(name: string): Sum {
    const present = this.#sums.get(name)
    if (this.#former.has(name) && present !== undefined) return present
    this.#former.set(name, present)
    const sum = present === undefined ? emptySum() : { rows: present.rows, lanes: present.lanes.slice() }
    this.#sums.set(name, sum)
    return sum
  }
}

function emptySum(): Sum {
  return { rows: 0, lanes: new Uint32Array(lanes) }
}

function bytesOf(sum: Uint32Array): Buffer {
  const bytes = Buffer.alloc(4 * lanes)
  sum.forEach((lane, index) => bytes.writeUInt32BE(lane, 4 * index))
  return bytes
}
