import type { AuditLog } from './audit-log.ts'
import type { RecordStore } from './records.ts'

/** A state of a folder. Kept elsewhere, it later shows an older state of the whole folder, or another history. */
export interface KnownHead {
  /** Transactions of the record store. */
  readonly counter: number
  /** 128 bits of the MAC over all records, lower-case hex. */
  readonly tag: string
  /** Entries of the audit log, and 128 bits of the hash of the last. */
  readonly entries: number
  readonly hash: string
}

const HEX = 32
const none = '0'.repeat(HEX)

/** One short line, for example `1841:9f0c…:412:77ab…`. */
export function formatKnownHead({ counter, tag, entries, hash }: KnownHead): string {
  return `${counter}:${tag}:${entries}:${hash}`
}

/** @throws Error when the text is not a head */
export function parseKnownHead(text: string): KnownHead {
  const match = /^(\d{1,15}):([0-9a-f]{32}):(\d{1,15}):([0-9a-f]{32})$/.exec(text.trim())
  if (match === null) throw new Error('A known head must be one line as `ownkey audit head` prints it: N:HASH:N:HASH.')
  const [, counter, tag = '', entries, hash = ''] = match
  return { counter: Number(counter), tag, entries: Number(entries), hash }
}

type Log = Pick<AuditLog, 'list'>

/** The current state of the folder, on the disk already. @throws Error where records have no MACs or were changed outside */
export async function presentHead(records: RecordStore, log: Log): Promise<KnownHead> {
  // The log first, so that after a commit between the two reads the records are newer than the log.
  const [last] = await log.list({ limit: 1, reverse: true })
  const head = await records.head()
  if (head === undefined) throw new Error('The records have no head to keep: they were changed outside this service.')
  return {
    counter: head.counter,
    tag: head.tag.slice(0, HEX),
    entries: last?.sequence ?? 0,
    hash: last?.hash.slice(0, HEX) ?? none,
  }
}

/** Why the folder is not the known one or a later state of it; undefined when it is. */
export async function faultAgainst(known: KnownHead, records: RecordStore, log: Log): Promise<string | undefined> {
  const present = await presentHead(records, log)
  if (present.counter < known.counter)
    return `it is an older state: it stands at change ${present.counter}, and ${known.counter} was known`
  if (present.counter === known.counter && present.tag !== known.tag)
    return `it stands at change ${known.counter} as it should, but with other records than were known`
  const [entry] = known.entries === 0 ? [] : await log.list({ after: known.entries - 1, limit: 1 })
  const hash = entry?.sequence === known.entries ? entry.hash.slice(0, HEX) : none
  if (hash === known.hash) return undefined
  return `its history is another one: record ${known.entries} of the audit log is not the one that was known`
}
