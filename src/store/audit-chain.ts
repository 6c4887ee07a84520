import { createHash, hash } from 'node:crypto'
import type { AuditEntry } from './audit-entry.ts'

const hashBytes = 32
const maximumEntryBytes = 64 * 1024

/** What the first entry is chained to. */
export const genesis = createHash('sha256').update('OwnKey audit log, version 1').digest('hex')

/**
 * Hash of an entry, lower-case hex: SHA-256(hash of the entry before, 32 bytes | sequence, 8 bytes big-endian | canonical JSON, UTF-8).
 * The sequence counts from 1.
 */
export function chainHash(previous: string, sequence: number, canonicalEntry: string): string {
  const length = Buffer.byteLength(canonicalEntry)
  const input = Buffer.alloc(hashBytes + 8 + length)
  input.write(previous, 'hex')
  input.writeBigUInt64BE(BigInt(sequence), hashBytes)
  input.write(canonicalEntry, hashBytes + 8)
  return hash('sha256', input, 'hex')
}

/**
 * What a MAC over the head of a log is made of. Version 1 stood in folders whose records carried no MACs; since there are some, a head is
 * of version 2: a folder with one once had MACs, and where they are missing they were taken away.
 */
export function auditHeadMessage(version: 1 | 2, { entries, head }: { entries: number; head: string }): Buffer {
  return Buffer.from(`OwnKey audit head, version ${version}\n${entries}\n${head}\n`)
}

/** JSON without spaces, names sorted by UTF-16 units, members without a value left out (RFC 8785). Takes parsed JSON only. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join()}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`).join()}}`
}

/** An entry as it was given, whatever its maker does to it later. */
export interface FrozenEntry {
  readonly entry: AuditEntry
  /** What is hashed. */
  readonly canonical: string
}

/** Copies an entry, and writes it as canonical JSON. @throws RangeError when it is longer than 64 KiB or its time is not ISO 8601 in UTC */
export function freezeEntry(given: AuditEntry): FrozenEntry {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/u.test(given.time)) {
    throw new RangeError('The time of an audit entry must be like 2026-01-31T23:59:59.999Z.')
  }
  const entry = JSON.parse(JSON.stringify(given)) as AuditEntry
  const canonical = canonicalJson(entry)
  if (Buffer.byteLength(canonical) > maximumEntryBytes) {
    throw new RangeError(`An audit entry may have at most ${maximumEntryBytes} bytes.`)
  }
  return { entry, canonical }
}
