import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { LYING_DISK } from './faults.ts'
import { torture } from './torture.ts'

/** `npm run torture -- --rounds 1000` plays more. */
const ROUNDS = Number(process.env['OWNKEY_TORTURE_ROUNDS'] ?? 5)
/** Its first five rounds have a full disk, engines that stand still and are killed, a kill and a power cut. */
const SEED = 11

test('a cloud that is killed at random moments under mixed load loses nothing that was acknowledged', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'ownkey-torture-'))
  const tell = (line: string): void => t.diagnostic(line)
  const report = await torture({ folder, rounds: ROUNDS, seed: SEED, proveEvery: ROUNDS, tell })
  assert.deepEqual(report.wrong, [], `see ${folder}`)
  t.diagnostic(`${report.rounds} rounds, ${report.operations} operations`)
  await rm(folder, { recursive: true, force: true })
})

test('the check after each round detects a disk that loses synced data', { skip: LYING_DISK.unable }, async t => {
  const folder = await mkdtemp(join(tmpdir(), 'ownkey-torture-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const report = await torture({
    folder,
    rounds: 5,
    seed: SEED,
    proveEvery: 5,
    faults: [{ ...LYING_DISK, weight: 1 }],
  })
  t.diagnostic(report.wrong.join('; ').slice(0, 500))
  assert.notDeepEqual(report.wrong, [])
})
