import type { ClosedAccount } from '../folder/blob-check.ts'
import type { FilesFound } from '../folder/folder-check.ts'
import { openVerifySource, type RecordsVerdict, type VerifySource } from '../folder/verify-source.ts'
import { progressBar, type Progress } from '../base/progress.ts'
import { fitted } from '../base/terminal.ts'
import { recordsReport } from './audit.ts'

export interface VerifyOptions {
  readonly dataDir: string
  /** Whether to open every chunk of every blob, where a key is available. */
  readonly whole: boolean
  readonly knownHead?: string | undefined
  readonly format: 'text' | 'json'
}

interface Verified {
  readonly ok: boolean
  readonly time: string
  readonly running: boolean
  readonly whole: boolean
  readonly audit: RecordsVerdict
  readonly accounts: number
  readonly blobs: number
  readonly bytes: number
  /** Blobs whose every chunk was opened. */
  readonly opened: number
  /** Accounts with blobs whose contents could not be read, which is not a problem by itself. */
  readonly closed: readonly ClosedAccount[]
  readonly files: FilesFound
  readonly problems: readonly string[]
  readonly notLookedAt: readonly string[]
}

/**
 * Checks everything in a data folder against everything else: records, audit log, keys, sealed files. Resolves to the exit code: 1 when
 * something is not as it was written. Files without a record, and contents without an available key, are reported but are not faults.
 */
export async function verify(options: VerifyOptions): Promise<number> {
  const progress = progressBar()
  const source = await openVerifySource(options.dataDir)
  try {
    const found = await look(source, options, progress)
    progress.end()
    process.stdout.write(options.format === 'json' ? `${JSON.stringify(found, null, 2)}\n` : report(found, options))
    return found.ok ? 0 : 1
  } finally {
    progress.end()
    await source.close()
  }
}

async function look(source: VerifySource, options: VerifyOptions, progress: Progress): Promise<Verified> {
  const { whole, knownHead } = options
  const time = new Date().toISOString()
  progress.show(0, 1, 'records and audit log')
  const audit = await source.records(knownHead)
  progress.show(0, 1, 'files')
  const files = await source.files()
  progress.show(0, 1, 'keys of accounts')
  const problems: string[] = files.strays.map(path => `blobs/${path} is not a sealed file`)
  let accounts = 0
  for (let after: string | undefined, isLast = false; !isLast;) {
    const page = await source.accounts(after)
    accounts += page.accounts
    problems.push(...page.problems)
    after = page.next
    isLast = after === undefined
  }
  const closed = new Map<string, { account: string; blobs: number; reason: string }>()
  let [blobs, bytes, opened] = [0, 0, 0]
  for (let after: string | undefined, isLast = false; !isLast;) {
    progress.show(blobs, files.records, `${blobs.toLocaleString('en')} blobs`)
    const page = await source.blobs(whole, after)
    blobs += page.blobs
    bytes += page.bytes
    opened += page.opened
    problems.push(...page.problems)
    for (const one of page.closed)
      closed.set(one.account, { ...one, blobs: one.blobs + (closed.get(one.account)?.blobs ?? 0) })
    after = page.next
    isLast = after === undefined
  }
  return {
    ok: audit.ok && audit.records.ok && problems.length === 0,
    time,
    running: source.running,
    whole,
    audit,
    accounts,
    blobs,
    bytes,
    opened,
    closed: [...closed.values()],
    files,
    problems,
    notLookedAt: [
      ...(whole ? [] : ['the contents of blobs: --whole reads every chunk']),
      'keys that lie in vaults elsewhere or in a token, what diagnostic settings exported, base models',
    ],
  }
}

function report(found: Verified, { dataDir, knownHead }: VerifyOptions): string {
  const { audit, accounts, blobs, bytes, opened, whole, closed, files, problems, running, notLookedAt } = found
  const own = [
    audit.ok
      ? `yes  the audit log is as it was written: ${count(audit.entries)} records`
      : `NO   the audit log was changed at record ${audit.at}: ${audit.reason}`,
  ]
  const records = recordsReport(audit.records, knownHead)
    .trimEnd()
    .split('\n')
    .map((line, index) => (index === 0 ? `${audit.records.ok ? 'yes' : 'NO '}  ${line}` : `   ${line}`))
  const rest = [
    ...problems.map(problem => `NO   ${problem}`),
    `${problems.length === 0 ? 'yes ' : 'note'} ${count(accounts)} accounts: keys, settings and records fit together${problems.length === 0 ? '' : ', but for what is named'}`,
    `${problems.length === 0 ? 'yes ' : 'note'} ${count(blobs)} blobs, ${count(bytes)} bytes: each has its file, of its size, with its header`,
    ...(whole
      ? [`${problems.length === 0 ? 'yes ' : 'note'} ${count(opened)} of them read to their end, every chunk genuine`]
      : []),
    ...closed.map(
      ({ account, blobs: some, reason }) =>
        `note the contents of ${count(some)} blobs of ${account} were not read: ${reason}`,
    ),
    ...(files.orphanCount === 0
      ? []
      : [
          `note ${count(files.orphanCount)} files, ${count(files.orphanBytes)} bytes, belong to no record: uploads that were never acknowledged. A start puts them away`,
        ]),
    ...(files.areOrphansKnown ? [] : ['note files that no record names were not looked for: a record was changed']),
    ...(files.quarantined === 0 ? [] : [`note ${count(files.quarantined)} files lie in quarantine`]),
    ...notLookedAt.map(what => `note not looked at: ${what}`),
    found.ok
      ? `${dataDir} is whole${running ? ', and its cloud runs' : ' (no cloud runs)'}.`
      : `${dataDir} is NOT whole. Restore it from a backup, and find out what happened to it.`,
    '',
  ]
  return [fitted(own.join('\n'), '     '), ...records, fitted(rest.join('\n'), '     ')].join('\n')
}

function count(number: number): string {
  return number.toLocaleString('en')
}
