import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  badSince,
  openAuditSource,
  type AuditSource,
  type KnownHead,
  type NamedPage,
  type Verification,
} from './audit-source.ts'
import type { RecordsFinding } from '../audit/verify-folder.ts'
import { parseSince } from '../audit/read-audit.ts'
import { fitted, hasColour, terminalWidth } from '../base/terminal.ts'
import { UsageError } from '../base/usage-error.ts'
import { startCommand } from '../base/data-folder.ts'
import { AuditTable } from './audit-table.ts'

export interface AuditOptions {
  readonly dataDir: string
  readonly vault?: string | undefined
  readonly since?: string | undefined
  /** How many of the newest matching records; absent: 100 in a table without `since`, otherwise all. */
  readonly last?: number | undefined
  readonly follow: boolean
  readonly format: 'table' | 'json'
}

const DEFAULT_LAST = 100
const POLL_MS = 500
const PAGE = 500

/** Prints the audit log, oldest first. Resolves to the exit code; with `follow`, when the process is told to stop. */
export async function printAudit(options: AuditOptions): Promise<number> {
  const { since } = options
  if (since !== undefined && parseSince(since, Date.now()) === undefined) throw badSince(since)
  const source = await openAuditSource(options.dataDir)
  try {
    if (options.follow && !source.running)
      throw new Error(
        `Nothing comes to the log of a stopped cloud: leave --follow out, or start it.\n${startCommand(options.dataDir)}`,
      )
    const print = options.format === 'json' ? printLines : tablePrinter()
    const last = options.last ?? (options.format === 'table' && options.since === undefined ? DEFAULT_LAST : undefined)
    const after =
      last === undefined ? await printFrom(source, options, 0, print) : await printNewest(source, options, last, print)
    if (options.follow) await follow(source, options, after, print)
    return 0
  } finally {
    await source.close()
  }
}

type Print = (records: NamedPage['records'], names: NamedPage['names']) => Promise<void>

/** Prints the newest records, and returns the number of the record after which to go on. */
async function printNewest(source: AuditSource, options: AuditOptions, last: number, print: Print): Promise<number> {
  const { vault, since } = options
  const records: NamedPage['records'][number][] = []
  let names: Record<string, string> = {}
  let newest: number | undefined
  let after: number | undefined
  let more = true
  do {
    const ask = { vault, since, after, newestFirst: true, limit: Math.min(last - records.length, PAGE) }
    const page: NamedPage = await source.page(ask)
    records.push(...page.records)
    names = { ...names, ...page.names }
    newest ??= page.records[0]?.sequence
    after = page.end
    more = page.more && after > 1
  } while (more && records.length < last)
  await print(records.reverse(), names)
  return newest ?? 0
}

async function printFrom(source: AuditSource, options: AuditOptions, from: number, print: Print): Promise<number> {
  const { vault, since } = options
  let after = from
  for (;;) {
    const page = await source.page({ vault, since, after, limit: PAGE })
    await print(page.records, page.names)
    after = page.end
    if (!page.more) return after
  }
}

async function follow(source: AuditSource, options: AuditOptions, from: number, print: Print): Promise<void> {
  const stopped = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stopped.abort())
  let after = from
  while (!stopped.signal.aborted) {
    after = await printFrom(source, options, after, print)
    await sleep(POLL_MS, undefined, { signal: stopped.signal }).catch(() => {})
  }
}

async function printLines(records: NamedPage['records']): Promise<void> {
  const lines = records.map(({ sequence, hash, entry }) => {
    // The log has names in alphabetical order, but people look first for the time and the operation.
    const { time, operationName, resultType, ...rest } = entry
    return `${JSON.stringify({ sequence, time, operationName, resultType, ...rest, hash })}\n`
  })
  await write(lines.join(''))
}

function tablePrinter(): Print {
  const table = new AuditTable({ width: terminalWidth(), colour: hasColour() })
  return (records, names) => write(table.lines(records, names))
}

/** Waits for a slow reader, so that a long log does not pile up in memory. */
async function write(text: string): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain')
}

/**
 * Checks every record of the log against the chain, and against a head that was kept earlier (`<entries>:<hash>`).
 * Resolves to the exit code: 1 when a record is not as it was written.
 */
export async function verifyAudit(options: {
  dataDir: string
  known?: string | undefined
  /** A line that `audit head` printed. */
  knownHead?: string | undefined
}): Promise<number> {
  const known = options.known === undefined ? undefined : knownHead(options.known)
  const source = await openAuditSource(options.dataDir)
  try {
    const started = performance.now()
    const verdict = await source.verify(known, options.knownHead)
    const took = Math.round(performance.now() - started)
    if (verdict.ok) sayWhole(verdict, source.running, took, known)
    else await sayBroken(verdict, source)
    process.stdout.write(recordsReport(verdict.records, options.knownHead))
    return verdict.ok && verdict.records.ok ? 0 : 1
  } finally {
    await source.close()
  }
}

/** Prints the one line that names the current state of the folder. Resolves to the exit code. */
export async function printHead(options: { dataDir: string }): Promise<number> {
  const source = await openAuditSource(options.dataDir)
  try {
    process.stdout.write(`${await source.head()}\n`)
    return 0
  } finally {
    await source.close()
  }
}

/** The findings about all other records. Names and heads are never broken, since people copy them. */
export function recordsReport({ ok, records, tampered, reason, head }: RecordsFinding, knownHead?: string): string {
  const count = records.toLocaleString('en')
  const lines = ok
    ? [
        `All ${count} other records are as they were written, and the newest.`,
        ...(knownHead === undefined
          ? []
          : ['  known     the folder is the one of the known head, or a later state of it']),
        ...(head === undefined ? [] : ['  an older folder put back is found with this:', `  --known-head ${head}`]),
      ]
    : [
        `NOT all of the ${count} other records are as they were written:`,
        ...tampered.map(({ collection, id }) => `  changed   ${collection} ${id}`),
        ...(reason === undefined ? [] : [fitted(`  ${reason}`, '  ')]),
      ]
  return `${lines.join('\n')}\n`
}

function say(...lines: readonly string[]): void {
  process.stdout.write(`${fitted(lines.join('\n'), '  ')}\n`)
}

function sayWhole(
  { time, entries, head }: Extract<Verification, { ok: true }>,
  running: boolean,
  took: number,
  known?: KnownHead,
): void {
  const kept = known === undefined ? [] : [`  known     record ${known.entries} is the one that was known`]
  say(
    `The audit log is whole: ${entries.toLocaleString('en')} records, none changed, missing or moved.`,
    `  head      ${head}`,
    ...kept,
    `  verified  ${time}, in ${took} ms, ${running ? 'by the running cloud' : 'in the folder: no cloud runs'}`,
    'Keep this elsewhere; given back, it proves that nothing was changed or cut off:',
    `  --known ${entries}:${head}`,
  )
}

async function sayBroken({ at, reason, time }: Extract<Verification, { ok: false }>, source: AuditSource) {
  const page = await source.page({ after: Math.max(0, at - 1), limit: 1 }).catch(() => undefined)
  const found = page?.records.find(({ sequence }) => sequence === at)?.entry
  say(
    `The audit log was changed: record ${at}: ${reason}.`,
    ...(found === undefined ? [] : [`  it reads  ${found.time} ${found.operationName} ${found.resultType}`]),
    `  before    ${at <= 1 ? 'no record can be trusted' : `records 1 to ${at - 1} are as they were written`}`,
    `  verified  ${time}`,
    'Restore the data folder from a backup, and find out who could write to it.',
  )
}

function knownHead(text: string): KnownHead {
  const match = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text.trim())
  if (match === null) throw new UsageError('--known must be <records>:<head>, as audit verify printed it.')
  return { entries: Number(match[1]), head: match[2] ?? '' }
}
