import { writeFile } from 'node:fs/promises'
import { CAUSES } from '../test/support/causes.ts'
import { cloudFor, LEASE_SECONDS } from '../test/support/cloud.ts'
import { outsideVault } from '../test/support/outside-vault.ts'
import { cloudThatSleeps } from '../test/support/sleeping-cloud.ts'
import { Crashing } from '../test/truth/crash.ts'
import { differences } from '../test/truth/differences.ts'
import { playTroubles, type TroubleRow } from '../test/truth/in-trouble.ts'
import { playMany, type ManyRow } from '../test/truth/many-accounts.ts'
import { openStage, play, type Row } from '../test/truth/play.ts'
import { page, type CrashRow } from './truth-page.ts'

/**
 * Plays every cause against every operation on a fresh cloud, then the same service dying, with many accounts, and with a vault
 * in trouble; writes docs/truth-table.md when all is as the table says. Names of parts (`causes`, `troubles`, `deaths`,
 * `accounts`) play these alone, and words behind `--only` the causes that contain one of them; then nothing is written.
 */
const ACCOUNTS = 20
const PARTS = ['causes', 'troubles', 'deaths', 'accounts']
const args = process.argv.slice(2)
const at = args.indexOf('--only')
const only = at < 0 ? [] : args.slice(at + 1)
const parts = args.slice(0, at < 0 ? undefined : at)
const unknown = parts.filter(part => !PARTS.includes(part))
if (unknown.length > 0) throw new Error(`There is no part ${unknown.join(', ')}: use ${PARTS.join(', ')}.`)

interface Closing {
  after(close: () => Promise<void>): void
}

const wrong: string[] = []

function tell(what: string, found: readonly string[]): void {
  wrong.push(...found)
  process.stdout.write(`${found.length === 0 ? 'ok ' : 'NOT'} ${what}\n${found.map(line => `    ${line}\n`).join('')}`)
}

/** Clouds end with the part that they were started for. */
async function part<T>(name: string, run: (closing: Closing) => Promise<T>): Promise<T | undefined> {
  if (parts.length > 0 && !parts.includes(name)) return undefined
  const closers: (() => Promise<void>)[] = []
  try {
    return await run({ after: close => void closers.push(close) })
  } finally {
    for (const close of closers.reverse()) await close()
  }
}

async function causes(closing: Closing): Promise<Row[]> {
  const outside = await outsideVault(closing)
  const cloud = await cloudFor(closing, ['--clock-control', '--outside-vaults', outside.pattern])
  const sleeping = await cloudThatSleeps(closing, outside)
  const stages = {
    here: await openStage(cloud),
    outside: await openStage(cloud, 'outside', outside),
    asleep: await openStage(sleeping, 'asleep', outside),
  }
  const rows: Row[] = []
  for (const [index, cause] of CAUSES.entries()) {
    if (only.length > 0 && !only.some(word => cause.name.includes(word))) continue
    // Causes that destroy the key for good are played with an account of their own.
    const own = cause.restore === undefined ? await openStage(cloud, `lost-${index}`) : undefined
    const stage = own ?? stages[cause.where ?? 'here']
    const row = await play(cause.where === 'asleep' ? sleeping : cloud, stage, cause)
    rows.push(row)
    const times = `refused after ${row.refusedMs.toFixed(0)} ms, job paused after ${row.pausedMs.toFixed(0)} ms`
    tell(`${cause.name}: ${times}`, differences(row, LEASE_SECONDS))
  }
  return rows
}

async function troubles(closing: Closing): Promise<TroubleRow[]> {
  const outside = await outsideVault(closing)
  const cloud = await cloudFor(closing, ['--outside-vaults', outside.pattern])
  const rows = await playTroubles(cloud, await openStage(cloud, 'outside', outside))
  for (const { trouble, download, wrong: found } of rows) tell(`${trouble}: a download is ${download}`, found)
  return rows
}

async function deaths(closing: Closing): Promise<CrashRow[]> {
  const crashing = await Crashing.open(closing)
  const rows: CrashRow[] = []
  for (const change of Object.keys(crashing.changes)) {
    const { deaths: count, wrong: found } = await crashing.dieAtEveryCommit(change)
    rows.push({ change, deaths: count })
    tell(`killed ${count} times in the change '${change}'`, found)
  }
  return rows
}

async function accounts(closing: Closing): Promise<ManyRow[]> {
  const rows = await playMany(closing, ACCOUNTS)
  for (const { cause, refusedMs, wrong: found } of rows)
    tell(`${ACCOUNTS} accounts, ${cause}: the last was refused after ${refusedMs.toFixed(0)} ms`, found)
  return rows
}

const played = {
  rows: await part('causes', causes),
  troubled: await part('troubles', troubles),
  died: await part('deaths', deaths),
  many: await part('accounts', accounts),
}
const { rows, troubled, died, many } = played
if (wrong.length === 0 && only.length === 0 && rows && troubled && died && many)
  await writeFile(new URL('../docs/truth-table.md', import.meta.url), page({ rows, troubled, died, many }))
process.exit(wrong.length === 0 ? 0 : 1)
