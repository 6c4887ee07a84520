import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { CAUSES } from '../support/causes.ts'
import { LEASE_SECONDS } from '../support/cloud.ts'
import { TwoServices } from '../support/two-services.ts'
import { differences } from '../truth/differences.ts'
import { openStage, play } from '../truth/play.ts'

/** One of each kind, without those that move the clock or write into the database, since neither is shared. */
const PLAYED = [
  'permission get removed',
  'vault switched to RBAC',
  'vault deleted',
  'identity turned off',
  'subscription moved to another tenant',
]

const two = await TwoServices.open({ after })
const stage = await openStage(two)

for (const cause of CAUSES.filter(({ name }) => PLAYED.includes(name)))
  test(`K2 R20 R21 R22 R23 R24 R25 R31 R32: ${cause.name}: two services on one store, asked in turn, answer as the truth table says`, async t => {
    const row = await play(two, stage, cause)
    t.diagnostic(`refused after ${row.refusedMs.toFixed(0)} ms, job paused after ${row.pausedMs.toFixed(0)} ms`)
    assert.deepEqual(differences(row, LEASE_SECONDS), [])
  })
