import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { FAULTS, LYING_DISK } from './faults.ts'
import { torture } from './torture.ts'

/**
 * `npm run torture -- --rounds 1000 --seed 7`: kills clouds under load again and again. Each folder gets a limited number of rounds, since
 * every check reads its whole audit log. The seed counts up with the folders. A folder with a problem is kept.
 */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '30' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    /** A new folder after this many rounds. */
    each: { type: 'string', default: '50' },
    /** Ends after this many minutes, however many rounds are left. */
    minutes: { type: 'string', default: '1000000' },
    'prove-every': { type: 'string', default: '5' },
    /** Only these kinds of faults, by name, separated by commas. */
    faults: { type: 'string' },
  },
})
const wanted = values.faults?.split(',')
const faults = [...FAULTS, LYING_DISK].filter(({ name }) => wanted?.includes(name) ?? true)
for (const { name, unable } of faults) if (unable !== false) process.stdout.write(`left out: ${name} (${unable})\n`)
const rounds = Number(values.rounds)
const until = Date.now() + Number(values.minutes) * 60_000
const began = Date.now()
const sums = {
  rounds: 0,
  operations: 0,
  folders: 0,
  faults: new Map<string, number>(),
  counts: new Map<string, number>(),
}

const lines = (counts: ReadonlyMap<string, number>): string =>
  [...counts]
    .toSorted()
    .map(([name, count]) => `  ${name.padEnd(28)}${count}\n`)
    .join('')

function add(to: Map<string, number>, counts: ReadonlyMap<string, number>): void {
  for (const [name, count] of counts) to.set(name, (to.get(name) ?? 0) + count)
}

/** @returns whether nothing is wrong */
async function playFolder(seed: number): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), 'ownkey-torture-'))
  process.stdout.write(`seed ${seed}, in ${folder}\n`)
  const report = await torture({
    folder,
    rounds: Math.min(Number(values.each), rounds - sums.rounds),
    minutes: (until - Date.now()) / 60_000,
    seed,
    proveEvery: Number(values['prove-every']),
    faults,
    tell: line => process.stdout.write(`${line}\n`),
  })
  sums.rounds += report.rounds
  sums.operations += report.operations
  sums.folders += 1
  add(sums.faults, report.faults)
  add(sums.counts, report.counts)
  if (report.wrong.length === 0) await rm(folder, { recursive: true, force: true })
  else process.stdout.write(`${report.wrong.join('\n')}\nIts folder is kept: ${folder}\n`)
  return report.wrong.length === 0
}

let seed = Number(values.seed)
let isWell = true
while (isWell && sums.rounds < rounds && Date.now() < until) {
  isWell = await playFolder(seed)
  seed += 1
}
const minutes = ((Date.now() - began) / 60_000).toFixed(1)
process.stdout.write(
  `${sums.rounds} rounds in ${sums.folders} folders, ${sums.operations} operations, ${isWell ? 'nothing' : 'something'} wrong, seeds ${values.seed} to ${seed - 1}, ${minutes} minutes\n` +
    `${lines(sums.faults)}${lines(sums.counts)}`,
)
process.exitCode = isWell ? 0 : 1
