import { writeFile } from 'node:fs/promises'
import { CAUSES } from '../test/support/causes.ts'
import { cloudFor, LEASE_SECONDS } from '../test/support/cloud.ts'
import { differences } from '../test/truth/differences.ts'
import { EXPECTED } from '../test/truth/expected.ts'
import { openStage, play, type Row } from '../test/truth/play.ts'

/** Plays every cause against every operation on a fresh cloud, and writes docs/truth-table.md when all is as the table says. */
const closers: (() => Promise<void>)[] = []
const rows: Row[] = []
const wrong: string[] = []
try {
  const cloud = await cloudFor({ after: (close: () => Promise<void>) => void closers.push(close) })
  const stage = await openStage(cloud)
  for (const cause of CAUSES) {
    const row = await play(cloud, stage, cause)
    const found = differences(row, LEASE_SECONDS)
    rows.push(row)
    wrong.push(...found)
    process.stdout.write(
      `${found.length === 0 ? 'ok ' : 'NOT'} ${cause.name}: refused after ${row.refusedMs.toFixed(0)} ms, job paused after ${row.pausedMs.toFixed(0)} ms\n`,
    )
    for (const line of found) process.stdout.write(`    ${line}\n`)
  }
} finally {
  for (const close of closers) await close()
}
if (wrong.length === 0) await writeFile(new URL('../docs/truth-table.md', import.meta.url), page(rows))
process.exit(wrong.length === 0 ? 0 : 1)

function page(measured: readonly Row[]): string {
  const names = measured.map(({ cause }) => cause)
  const told = new Map(EXPECTED.map(row => [row.cause, row.told]))
  const causes = measured.map(
    ({ cause, refusedMs, pausedMs }) =>
      `| ${cause} | \`${told.get(cause) ?? ''}\` | ${refusedMs.toFixed(0)} | ${pausedMs.toFixed(0)} |`,
  )
  const pick = (part: (row: Row) => Readonly<Record<string, string>>): string[] =>
    Object.keys(part(measured[0] as Row)).map(operation => {
      const answers = [...new Set(measured.map(row => statusOf(part(row)[operation] ?? '')))]
      return `| ${operation} | ${answers.length === 1 ? answers[0] : exceptions(names, measured, part, operation)} |`
    })
  return [
    '# What happens when the key is taken away',
    '',
    `Written by \`npm run truth\`, which plays each cause against each operation over HTTP on a cloud with a key lease of ${LEASE_SECONDS} s, restarts the`,
    'service in the middle, gives access back, and compares every answer with `test/truth/expected.ts`. The bound is one lease: 10 s unless',
    '`--key-lease-seconds` says otherwise. Times are those of one run on two shared cores.',
    '',
    '`refused` is status 403, code `CustomerManagedKeyUnavailable`, with the cause below as inner code and a message that names vault, key and remedy.',
    '',
    '| Cause | What clients are told | Download refused after, ms | Running job paused after, ms |',
    '|---|---|---|---|',
    ...causes,
    '',
    '| While the key is gone | Answer |',
    '|---|---|',
    ...pick(row => row.whileRevoked),
    '',
    '| After a restart of the service meanwhile | Answer |',
    '|---|---|',
    ...pick(row => row.afterRestart),
    '',
    '| After access was given back | Answer |',
    '|---|---|',
    ...pick(row => row.givenBack),
    '',
  ].join('\n')
}

function statusOf(answer: string): string {
  if (answer.startsWith('403 CustomerManagedKeyUnavailable')) return 'refused'
  return answer === 'allowed' ? 'allowed' : `\`${answer}\``
}

/** The answer that most causes share, and who differs. */
function exceptions(
  names: readonly string[],
  measured: readonly Row[],
  part: (row: Row) => Readonly<Record<string, string>>,
  operation: string,
): string {
  const byAnswer = Map.groupBy(names, (_, index) => statusOf(part(measured[index] as Row)[operation] ?? ''))
  const [most, ...others] = [...byAnswer].toSorted(([, a], [, b]) => b.length - a.length)
  return [most?.[0], ...others.map(([answer, of]) => `${answer} after: ${of.join(', ')}`)].join('; ')
}
