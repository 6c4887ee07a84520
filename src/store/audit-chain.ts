import { createHash, hash } from 'node:crypto'
import type { AuditEntry } from './audit-entry.ts'

const hashBytes = 32
const maximumEntryBytes = 64 * 1024

/** The hash before the first entry. */
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
 * The message for a MAC over the head of a log. Version 1 was in folders whose records had no MACs. Since records have MACs, a head has
 * version 2. So where a folder has such a head but no MACs, they were taken away.
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

/** A copy of the entry, so that later changes by its caller don't matter. */
export interface FrozenEntry {
  readonly entry: AuditEntry
  /** The text that is hashed. */
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
