import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { CAUSES } from '../support/causes.ts'
import { cloudFor, LEASE_SECONDS } from '../support/cloud.ts'
import { differences } from './differences.ts'
import { EXPECTED } from './expected.ts'
import { openStage, play } from './play.ts'

/** Causes that no other test has; `npm run truth` plays all. */
const PLAYED = [
  'permission get removed',
  'vault switched to RBAC',
  'vault deleted',
  'identity turned off',
  'subscription moved to another tenant',
  'database row put back',
  'key purged',
]

const cloud = await cloudFor({ after }, ['--clock-control'])
const stage = await openStage(cloud)

for (const cause of CAUSES.filter(({ name }) => PLAYED.includes(name))) {
  test(`K2 R20 R21 R22 R23 R24 R25 R31 R32: ${cause.name}: every operation answers as the truth table says, also after a restart and when access is given back, and the invariants hold`, async t => {
    const row = await play(cloud, stage, cause)
    t.diagnostic(`refused after ${row.refusedMs.toFixed(0)} ms, job paused after ${row.pausedMs.toFixed(0)} ms`)
    assert.deepEqual(differences(row, LEASE_SECONDS), [])
  })
}

test('the truth table has a row for each cause', () => {
  assert.deepEqual(
    EXPECTED.map(({ cause }) => cause),
    CAUSES.map(({ name }) => name),
  )
})
