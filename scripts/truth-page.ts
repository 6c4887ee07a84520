import { LEASE_SECONDS } from '../test/support/cloud.ts'
import { EXPECTED } from '../test/truth/expected.ts'
import type { TroubleRow } from '../test/truth/in-trouble.ts'
import type { ManyRow } from '../test/truth/many-accounts.ts'
import type { Row } from '../test/truth/play.ts'

export interface CrashRow {
  readonly change: string
  readonly deaths: number
}

interface Played {
  readonly rows: readonly Row[]
  readonly troubled: readonly TroubleRow[]
  readonly died: readonly CrashRow[]
  readonly many: readonly ManyRow[]
}

/** docs/truth-table.md */
export function page({ rows, troubled, died, many }: Played): string {
  return [
    ...intro(),
    ...causeTables(rows),
    ...troubleTable(troubled),
    ...crashTable(died),
    ...manyTable(many),
    '',
  ].join('\n')
}

function intro(): string[] {
  return [
    '# What happens when the key is taken away',
    '',
    `Written by \`npm run truth\`, which plays each cause against each operation over HTTP on a cloud with a key lease of ${LEASE_SECONDS} s, restarts the`,
    'service in the middle, gives access back, and compares every answer with `test/truth/expected.ts`. The bound is one lease: 10 s unless',
    '`--key-lease-seconds` says otherwise. Times are those of one run on two shared cores.',
    '',
    'After each row, while the key is gone and when it is back, it checks the invariants (`test/truth/invariants.ts`): every blob',
    "opens under a valid key; none opens without one, except deployments' own copies; an account's settings name the key that wraps its data",
    'keys; the audit chain verifies.',
    '',
    '`refused` is status 403, code `CustomerManagedKeyUnavailable`, with the cause below as inner code and a message that names vault, key and remedy.',
    '',
  ]
}

function causeTables(measured: readonly Row[]): string[] {
  const expected = new Map(EXPECTED.map(row => [row.cause, row]))
  const lost = EXPECTED.filter(({ gone }) => gone).map(({ cause }) => cause)
  const causes = measured.map(
    ({ cause, refusedMs, pausedMs, processMs, queueMs, streamMs }) =>
      `| ${cause} | \`${expected.get(cause)?.told ?? ''}\` | ${[refusedMs, pausedMs, processMs, queueMs, streamMs].map(ms => ms.toFixed(0)).join(' | ')} |`,
  )
  return [
    '| Cause | What clients are told | Download refused after, ms | Running job paused after, ms | and its process gone, ms | Last answer from the queue of a deployment that stops with its key, ms | and last part of its stream, ms |',
    '|---|---|---|---|---|---|---|',
    ...causes,
    '',
    "'Vault unreachable' is played with a key in a vault of another cloud ([outside-vaults.md](outside-vaults.md)), over TLS connections that break.",
    "'Machine slept' is too, with a lease of 60 s that has just begun when the machine falls asleep for two minutes. Access is taken away meanwhile,",
    "and the times count from its waking. 'Database row put back': the row of the former key, while the service is stopped. Without the root key",
    'the service then does not start, though the row was once valid; the table shows the effect by somebody who has that key too. The times count from the start.',
    '',
    ...answers('While the key is gone', measured, row => row.whileRevoked),
    ...answers('After a restart of the service meanwhile', measured, row => row.afterRestart),
    ...answers(
      'After access was given back',
      measured.filter(({ givenBack }) => givenBack !== undefined),
      row => row.givenBack ?? {},
    ),
    `There is no way back after: ${lost.join(', ')}. The data is gone for good, and the refusal, the account's status and the paused job say so.`,
    '',
  ]
}

type Answers = (row: Row) => Readonly<Record<string, string>>

function answers(title: string, measured: readonly Row[], part: Answers): string[] {
  const [first] = measured
  const lines = Object.keys(first === undefined ? {} : part(first)).map(
    operation => `| ${operation} | ${byAnswer(measured, part, operation)} |`,
  )
  return [`| ${title} | Answer |`, '|---|---|', ...lines, '']
}

function statusOf(answer: string): string {
  if (answer.startsWith('403 CustomerManagedKeyUnavailable')) return 'refused'
  return answer === 'allowed' ? 'allowed' : `\`${answer}\``
}

/** The answer that most causes share, and the causes that differ. */
function byAnswer(measured: readonly Row[], part: Answers, operation: string): string {
  const groups = Map.groupBy(measured, row => statusOf(part(row)[operation] ?? ''))
  const [most, ...others] = [...groups].toSorted(([, a], [, b]) => b.length - a.length)
  return [
    most?.[0],
    ...others.map(([answer, rows]) => `${answer} after: ${rows.map(({ cause }) => cause).join(', ')}`),
  ].join('; ')
}

function troubleTable(rows: readonly TroubleRow[]): string[] {
  const ms = (value: number | undefined): string => value?.toFixed(0) ?? ''
  return [
    '## A vault in trouble',
    '',
    'The key is in an outside vault, behind a proxy that answers in its place. The running lease is used to its end; an operation on the vault may',
    'then take 8 s, with retries. Silence counts as `Unreachable`, 5xx as `VaultFailed`, 429 as `Throttled`: a vault that names a time to wait is',
    'left alone for that long, a minute at most, and allowed again after it. Nothing is served on an older answer.',
    '',
    '| While | download | upload | chat | list | first refused after, ms | allowed again after, ms |',
    '|---|---|---|---|---|---|---|',
    ...rows.map(
      ({ trouble, download, upload, chat, list, refusedMs, givenBackMs }) =>
        `| ${trouble} | ${[download, upload, chat, list].map(withCause).join(' | ')} | ${ms(refusedMs)} | ${ms(givenBackMs)} |`,
    ),
    '',
  ]
}

/** Here the causes differ by the trouble. */
function withCause(answer: string): string {
  const cause = answer.startsWith('403 CustomerManagedKeyUnavailable ') ? ` (\`${answer.split(' ')[2]}\`)` : ''
  return `${statusOf(answer)}${cause}`
}

function crashTable(rows: readonly CrashRow[]): string[] {
  return [
    '## A service that dies while it changes a key',
    '',
    'It is killed (SIGKILL) right after its first commit since the change began, then after the second, and so on until the change succeeds; the',
    'commits of the embedded vault and of the audit log are among them. Between two commits nothing relevant changes on the disk, so these are all',
    'states that a crash at any step can leave. After each kill it is started again, the data is read, the invariants are checked, and after every fourth access is taken away and given back.',
    'The faults are preloaded by the test (`test/support/die-at-commit.mjs`); the product has none.',
    '',
    '| Change | Kills |',
    '|---|---|',
    ...rows.map(({ change, deaths }) => `| ${change} | ${deaths} |`),
    '',
  ]
}

function manyTable(rows: readonly ManyRow[]): string[] {
  return [
    '## Many accounts on one vault',
    '',
    'All under one key of one vault, all read from at once. Where one of them loses its access, the others go on.',
    '',
    '| Cause | Accounts that lose the key | the last refused after, ms | the last allowed again after, ms |',
    '|---|---|---|---|',
    ...rows.map(
      ({ cause, accounts, refusedMs, givenBackMs }) =>
        `| ${cause} | ${accounts} | ${refusedMs.toFixed(0)} | ${givenBackMs.toFixed(0)} |`,
    ),
  ]
}
