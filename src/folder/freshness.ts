import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { plainError } from '../base/plain-error.ts'
import { repeatedly } from '../base/repeatedly.ts'
import { hasCode, writeOutsideFile } from '../store/atomic-file.ts'
import type { AuditLog } from '../store/audit-log.ts'
import { faultAgainst, formatKnownHead, parseKnownHead, presentHead } from '../store/known-head.ts'
import type { RecordStore } from '../store/records.ts'

/** A place outside of the data folder that holds the newest head. A folder that is older than this head was put back. */
interface FreshnessStore {
  /** Undefined where nothing was written there yet. */
  read(): Promise<string | undefined>
  write(line: string): Promise<void>
}

export interface FreshnessOptions {
  readonly records: RecordStore
  readonly audit: Pick<AuditLog, 'list'>
  /** A head that the operator kept. */
  readonly knownHead?: string | undefined
  /** `file:PATH` or `command:PROGRAM`. */
  readonly freshness?: string | undefined
  readonly log: (line: object) => void
}

const WRITE_MS = 1000
const COMMAND_MS = 10_000
const MAX_OUTPUT = 4096

/**
 * Checks the folder against its known heads, and keeps the outside one up to date, within a second of each change and at the end. A head
 * is written once its state is on the disk, so after a crash the outside head may be behind the folder but never ahead of it.
 * @throws Error when the folder is older, or has another history
 */
export async function openFreshness(options: FreshnessOptions): Promise<{ close(): Promise<void> }> {
  const { records, audit, knownHead, freshness, log } = options
  if (knownHead !== undefined) await check(options, knownHead, 'the head given with --known-head')
  if (freshness === undefined) return { close: async () => {} }
  const store = storeOf(freshness)
  const outside = await store.read()
  if (outside === undefined || outside.trim() === '')
    log({ level: 'warning', message: `${freshness} holds no head yet: this folder is taken for the newest.` })
  else await check(options, outside, freshness)
  let written = ''
  const write = async (): Promise<void> => {
    const line = formatKnownHead(await presentHead(records, audit))
    if (line !== written) await store.write(line)
    written = line
  }
  const failed = (error: unknown): void =>
    log({ level: 'error', message: `The head could not be written to ${freshness}`, error: String(error) })
  // At once, so that a place that can't be written is found before anything depends on it.
  await write()
  const repeating = repeatedly(write, WRITE_MS, failed)
  return { close: () => repeating.stop('finally') }
}

/** Sets the newest head, to that of a restored folder. @param freshness `file:PATH` or `command:PROGRAM` */
export function writeHead(freshness: string, head: string): Promise<void> {
  return storeOf(freshness).write(head)
}

async function check({ records, audit }: FreshnessOptions, text: string, where: string): Promise<void> {
  const fault = await faultAgainst(parseKnownHead(text), records, audit)
  if (fault === undefined) return
  throw new Error(
    `The data folder is not the newest one of which ${where} knows: ${fault}. Put the newest backup in its place. If there is none and you accept what was lost, take that head away and start again.`,
  )
}

function storeOf(text: string): FreshnessStore {
  const [, kind, rest = ''] = /^(file|command):(.+)$/su.exec(text) ?? []
  if (kind === 'file') return fileStore(rest)
  if (kind === 'command') return commandStore(rest)
  throw new Error('--freshness must be file:PATH or command:PROGRAM.')
}

function fileStore(path: string): FreshnessStore {
  return {
    read: () =>
      readFile(path, 'utf8').catch((error: unknown) => {
        if (hasCode(error, 'ENOENT')) return undefined
        throw new Error(`The head in ${path} can't be read: ${plainError(error)}`)
      }),
    write: line =>
      writeOutsideFile(path, `${line}\n`).catch((error: unknown) => {
        // The error names a temporary file beside it, so it is not shown.
        const why = hasCode(error, 'ENOENT') ? 'its folder is not there.' : plainError(error)
        throw new Error(`The head can't be written to ${path}: ${why}`)
      }),
  }
}

/** With `read` the program prints the last line that it got, or nothing. With `write` it gets one line on its standard input. */
function commandStore(program: string): FreshnessStore {
  return {
    read: () => run(program, 'read', ''),
    write: async line => {
      await run(program, 'write', `${line}\n`)
    },
  }
}

async function run(program: string, action: string, input: string): Promise<string> {
  const child = spawn(program, [action], { stdio: ['pipe', 'pipe', 'inherit'], timeout: COMMAND_MS })
  // A program that did not start may have no pipes.
  await once(child, 'spawn')
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output = (output + chunk.toString()).slice(0, MAX_OUTPUT)))
  // If the program does not read its input, its exit code tells.
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${program} ${action} ended with ${code ?? 'a signal'}: it must end with 0.`)
  return output
}
