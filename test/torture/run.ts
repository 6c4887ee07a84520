import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { FAULTS, LYING_DISK } from './faults.ts'
import { torture } from './torture.ts'

/** `npm run torture -- --rounds 1000 --seed 7`: kills a cloud under load again and again. A folder in which something is wrong is kept. */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '30' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    /** Ends after so many, however many rounds are left. */
    minutes: { type: 'string', default: '1000000' },
    'prove-every': { type: 'string', default: '5' },
    /** Of these kinds alone, by name, with commas between. */
    faults: { type: 'string' },
  },
})
const wanted = values.faults?.split(',')
const faults = [...FAULTS, LYING_DISK].filter(({ name }) => wanted?.includes(name) ?? true)
for (const { name, unable } of faults) if (unable !== false) process.stdout.write(`left out: ${name} (${unable})\n`)
const seed = Number(values.seed)
const folder = await mkdtemp(join(tmpdir(), 'ownkey-torture-'))
process.stdout.write(`seed ${seed}, in ${folder}\n`)
const began = Date.now()
const report = await torture({
  folder,
  rounds: Number(values.rounds),
  minutes: Number(values.minutes),
  seed,
  proveEvery: Number(values['prove-every']),
  faults,
  tell: line => process.stdout.write(`${line}\n`),
})
const minutes = ((Date.now() - began) / 60_000).toFixed(1)
const lines = (counts: ReadonlyMap<string, number>): string =>
  [...counts]
    .toSorted()
    .map(([name, count]) => `  ${name.padEnd(28)}${count}\n`)
    .join('')
process.stdout.write(
  `${report.rounds} rounds, ${report.operations} operations, ${report.wrong.length} wrong, seed ${seed}, ${minutes} minutes\n` +
    `${lines(report.faults)}${lines(report.counts)}`,
)
if (report.wrong.length === 0) await rm(folder, { recursive: true, force: true })
else process.stdout.write(`${report.wrong.join('\n')}\nIts folder is kept: ${folder}\n`)
process.exitCode = report.wrong.length === 0 ? 0 : 1
