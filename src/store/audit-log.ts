import { timingSafeEqual } from 'node:crypto'
import type { Env } from '../base/env.ts'
import { nextTurn, turnIsOver } from '../base/turns.ts'
import { auditHeadMessage, canonicalJson, chainHash, freezeEntry, genesis, type FrozenEntry } from './audit-chain.ts'
import type { AuditEntry, NewAuditEntry } from './audit-entry.ts'
import { unlessConflict } from './conflicts.ts'
import { collection, leaveOut, put, recordName, RecordTampered, ShredIncomplete } from './records.ts'
import type { Change, CommitOptions, RecordStore, Stored, Written } from './records.ts'
import { CommitUnknown } from './storage-errors.ts'

interface AuditRecord {
  /** Counts from 1 without gaps. */
  readonly sequence: number
  readonly entry: AuditEntry
  /** Lower-case hex; chained to all entries before, see chainHash. */
  readonly hash: string
}

/** A state of a log. Kept elsewhere, it later proves that nothing up to there was changed or cut off. */
interface AuditHead {
  readonly entries: number
  readonly head: string
}

type AuditVerdict =
  | ({ readonly ok: true } & AuditHead)
  | { readonly ok: false; readonly at: number; readonly reason: string }

interface AuditListOptions {
  /** Only entries after (with `reverse`: before) this sequence number. */
  readonly after?: number
  /** Default 1,000. */
  readonly limit?: number
  /** Newest first. */
  readonly reverse?: boolean
}

export interface AuditLogOptions {
  /** Makes a MAC over the head with a key that is not in the database, so a writer of records can't forge a shorter or another log. */
  readonly mac?: (message: Buffer) => Buffer
  /** False: the log must exist already; if it is missing, it was removed. Default true. */
  readonly isNew?: boolean
}

export interface AuditLog {
  /**
   * Writes the entry and the changes in one commit, durable when the promise resolves. Don't modify the changes until then.
   * @returns what it wrote of the changes
   * @throws VersionConflict (then neither entry nor changes are written), ShredIncomplete, RangeError
   */
  append(entry: NewAuditEntry, changes?: readonly Change[], options?: CommitOptions): Promise<readonly Written[]>
  /** @throws Error when its end is not as it was written, since then nothing could be recorded */
  mustGoOn(): Promise<void>
  list(options?: AuditListOptions): Promise<AuditRecord[]>
  /** Reads the whole log. `at` is the sequence number of the first entry that is not as it was written. */
  verify(known?: AuditHead): Promise<AuditVerdict>
}

interface StoredHead extends AuditHead {
  readonly mac?: string
}

interface StoredEntry {
  readonly entry: AuditEntry
  readonly hash: string
}

interface PendingAppend extends FrozenEntry {
  readonly changes: readonly Change[]
  readonly shred: boolean
  readonly reserve: CommitOptions['reserve']
  readonly resolve: (written: readonly Written[]) => void
  readonly reject: (error: unknown) => void
}

const entries = collection<StoredEntry>('audit-entries')
const heads = collection<StoredHead>('audit-head')
const headId = 'head'
const changedEntry = 'the entry was changed or moved'
const emptyHead: StoredHead = { entries: 0, head: genesis }

/** The most changes of one commit: less than the record store's own limit, with room for entries and head. */
const groupChanges = 5000
const groupEntries = 500
const pageSize = 1000
/** Entries that are checked before others may have their turn. */
const verifiedAtOnce = 100

/** An append-only hash chain of entries over a record store. Several processes append to the same chain. */
export async function openAuditLog(records: RecordStore, env: Env, options: AuditLogOptions = {}): Promise<AuditLog> {
  const log = new ChainedLog(records, env, options)
  if (options.isNew ?? true) await log.start()
  return log
}

class ChainedLog implements AuditLog {
  readonly #records: RecordStore
  readonly #env: Env
  readonly #mac: ((message: Buffer) => Buffer) | undefined
  #queue: PendingAppend[] = []
  #draining = false
  /** Whether its end was checked, without a failure since. */
  #isGoingOn = false

  constructor(records: RecordStore, env: Env, { mac }: AuditLogOptions) {
    this.#records = records
    this.#env = env
    this.#mac = mac
  }

  /** Gives a new log a head, so a head that is missing later was removed. */
  async start(): Promise<void> {
    if ((await this.#records.count(entries)) > 0 || (await this.#records.get(heads, headId))) return
    // Another process may be first.
    await this.#records.commit([put(heads, headId, this.#sealed(emptyHead), 0)]).catch(unlessConflict)
  }

  async append(
    entry: NewAuditEntry,
    changes: readonly Change[] = [],
    { shred = false, reserve }: CommitOptions = {},
  ): Promise<readonly Written[]> {
    const frozen = freezeEntry({ ...entry, time: entry.time ?? new Date(this.#env.now()).toISOString() })
    const { promise, resolve, reject } = Promise.withResolvers<readonly Written[]>()
    this.#queue.push({ ...frozen, changes, shred, reserve, resolve, reject })
    if (!this.#draining) void this.#drain()
    return promise
  }

  async list({ after, limit = pageSize, reverse = false }: AuditListOptions = {}): Promise<AuditRecord[]> {
    const from = after === undefined ? {} : { after: idOf(after) }
    const found = await this.#records.list(entries, { ...from, limit, reverse, onTampered: leaveOut })
    return found.map(({ id, value }) => ({ sequence: Number(id), entry: value.entry, hash: value.hash }))
  }

  async verify(known?: AuditHead): Promise<AuditVerdict> {
    // The last entry first, so that after an append between the two reads the head is the newer one.
    const last = await this.#endId(true)
    const [stored] = await this.#records.list(heads, { limit: 1, onTampered: leaveOut })
    const head = stored?.value
    if (!head) return { ok: false, at: 1, reason: 'the head of the log is missing or was changed' }
    if (!this.#isSealed(head))
      return { ok: false, at: head.entries, reason: 'the head of the log was not written by this service' }
    if (known && known.entries > head.entries) {
      return { ok: false, at: head.entries + 1, reason: `entries are missing at the end: ${known.entries} were known` }
    }
    const first = await this.#endId(false)
    if (first !== undefined && first < idOf(1))
      return { ok: false, at: 1, reason: 'something stands before the first entry' }
    let previous = genesis
    let sequence = 0
    while (sequence < head.entries) {
      const tampered = new Set<string>()
      const page = await this.#records.list(entries, {
        after: idOf(sequence),
        onTampered: id => tampered.add(id),
        limit: Math.min(verifiedAtOnce, head.entries - sequence),
      })
      if (page.length === 0 && tampered.size === 0)
        return { ok: false, at: sequence + 1, reason: 'entries are missing at the end' }
      if (tampered.has(idOf(sequence + 1))) return { ok: false, at: sequence + 1, reason: changedEntry }
      for (const stored of page) {
        sequence += 1
        const reason = tampered.has(idOf(sequence)) ? changedEntry : faultOf(stored, previous, sequence, known)
        if (reason !== undefined) return { ok: false, at: sequence, reason }
        previous = stored.value.hash
      }
      // Reads never wait, so without this no other request would be answered until the last page.
      if (turnIsOver()) await nextTurn()
    }
    if (previous !== head.head)
      return { ok: false, at: sequence, reason: 'the head of the log does not fit its last entry' }
    if (last !== undefined && last > idOf(head.entries)) {
      return { ok: false, at: head.entries + 1, reason: 'entries stand behind the head of the log' }
    }
    return { ok: true, entries: head.entries, head: head.head }
  }

  async mustGoOn(): Promise<void> {
    if (this.#isGoingOn) return
    await this.#checkEnd().catch(untampered)
    this.#isGoingOn = true
  }

  /** The sequence number of the first or last entry in the store, whoever wrote it. */
  async #endId(reverse: boolean): Promise<string | undefined> {
    try {
      return (await this.#records.list(entries, { limit: 1, reverse }))[0]?.id
    } catch (error) {
      if (error instanceof RecordTampered) return error.id
      throw error
    }
  }

  async #drain(): Promise<void> {
    this.#draining = true
    while (this.#queue.length > 0) await this.#commitGroup(this.#takeGroup())
    this.#draining = false
  }

  #takeGroup(): PendingAppend[] {
    let changes = 0
    const behind = this.#queue.findIndex((pending, index) => {
      changes += pending.changes.length
      return index > 0 && (index === groupEntries || changes > groupChanges)
    })
    return this.#queue.splice(0, behind < 0 ? this.#queue.length : behind)
  }

  /** Several appends share one commit. When it fails, halves are tried, so that only the appends at fault fail. */
  async #commitGroup(group: readonly PendingAppend[]): Promise<void> {
    try {
      const written = partsOf(group, await this.#write(group))
      for (const [index, { resolve }] of group.entries()) resolve(written[index] ?? [])
    } catch (error) {
      if (error instanceof ShredIncomplete) {
        const written = partsOf(group, error.written)
        for (const [index, { shred, resolve, reject }] of group.entries()) {
          if (shred) reject(error.of(written[index] ?? []))
          else resolve(written[index] ?? [])
        }
      } else if (group.length > 1 && !(error instanceof CommitUnknown)) {
        const half = group.length >> 1
        await this.#commitGroup(group.slice(0, half))
        await this.#commitGroup(group.slice(half))
      } else {
        for (const { reject } of group) reject(error)
      }
    }
  }

  /** Of any process: the head is only in the store, and a process that was second reads it again. */
  async #write(group: readonly PendingAppend[]): Promise<readonly Written[]> {
    await this.mustGoOn()
    const options = {
      shred: group.some(pending => pending.shred),
      reserve: weakest(group.map(({ reserve }) => reserve)),
    }
    // Unless it succeeds, the end of the log is checked again.
    this.#isGoingOn = false
    const appending = this.#records.transact([recordName(heads, headId)], found => {
      const head = found.get(heads, headId)?.value
      if (head === undefined || !this.#isSealed(head)) throw changedFromOutside()
      return { changes: this.#changesOf(group, head), result: undefined, options }
    })
    const { written } = await appending.catch(untampered)
    this.#isGoingOn = true
    return written
  }

  #changesOf(group: readonly PendingAppend[], head: StoredHead): Change[] {
    let { entries: sequence, head: hash } = head
    const changes: Change[] = []
    for (const pending of group) {
      sequence += 1
      hash = chainHash(hash, sequence, pending.canonical)
      changes.push(...pending.changes, put(entries, idOf(sequence), { entry: pending.entry, hash }, 0))
    }
    return [...changes, put(heads, headId, this.#sealed({ entries: sequence, head: hash }))]
  }

  /** @throws Error when the end of the log was tampered with, since going on would hide that */
  async #checkEnd(): Promise<void> {
    for (;;) {
      const head = await this.#records.get(heads, headId)
      const [last] = await this.#records.list(entries, { limit: 1, reverse: true })
      const fits = last
        ? head?.value.head === last.value.hash && last.id === idOf(head.value.entries)
        : head?.value.entries === 0
      if (head && fits && this.#isSealed(head.value)) return
      // Another process appended between the two reads, so both are repeated.
      const now = await this.#records.get(heads, headId)
      if (now?.version === head?.version) throw changedFromOutside()
    }
  }

  #sealed({ entries, head }: AuditHead): StoredHead {
    return this.#mac
      ? { entries, head, mac: this.#mac(auditHeadMessage(2, { entries, head })).toString('hex') }
      : { entries, head }
  }

  #isSealed(head: StoredHead): boolean {
    if (!this.#mac) return true
    const expected = this.#mac(auditHeadMessage(2, head))
    const present = Buffer.from(String(head.mac), 'hex')
    return present.length === expected.length && timingSafeEqual(present, expected)
  }
}

/** What each append of the group wrote of its own changes. Conditions write nothing, and an entry follows each append's changes. */
function partsOf(group: readonly PendingAppend[], written: readonly Written[]): (readonly Written[])[] {
  let at = 0
  return group.map(({ changes }) => {
    const from = at
    at += changes.filter(({ mustExist }) => mustExist === undefined).length + 1
    return written.slice(from, at - 1)
  })
}

function untampered(error: unknown): never {
  throw error instanceof RecordTampered ? changedFromOutside() : error
}

function changedFromOutside(): Error {
  return new Error(
    'The audit log was changed from outside. Run `ownkey audit verify`, and restore the data folder from a backup.',
  )
}

/** The reserve that all appends of a commit may use. */
function weakest(reserves: readonly CommitOptions['reserve'][]): CommitOptions['reserve'] {
  if (reserves.includes(undefined)) return undefined
  return reserves.includes('small') ? 'small' : 'last'
}

function faultOf(
  stored: Stored<StoredEntry>,
  previous: string,
  sequence: number,
  known?: AuditHead,
): string | undefined {
  if (stored.id !== idOf(sequence)) return 'the entry is missing'
  const { entry, hash } = stored.value
  if (chainHash(previous, sequence, canonicalJson(entry)) !== hash) return changedEntry
  if (known?.entries === sequence && known.head !== hash) return 'the log up to here is not the one that was known'
  return undefined
}

/** As many digits as the largest safe integer has, so that ids sort like numbers. */
function idOf(sequence: number): string {
  return String(sequence).padStart(16, '0')
}
