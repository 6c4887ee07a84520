import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { CAUSES } from '../support/causes.ts'
import { cloudFor, LEASE_SECONDS } from '../support/cloud.ts'
import { outsideVault } from '../support/outside-vault.ts'
import { cloudThatSleeps } from '../support/sleeping-cloud.ts'
import { differences } from './differences.ts'
import { playTroubles } from './in-trouble.ts'
import { playMany } from './many-accounts.ts'
import { openStage, play } from './play.ts'

/** Short versions; `npm run truth` plays more accounts, causes, troubles and kills. */
const outside = await outsideVault({ after })
const cloud = await cloudFor({ after }, ['--outside-vaults', outside.pattern])
const stage = await openStage(cloud, 'outside', outside)

test('R22 R23 R24: a machine that slept through its lease, and through the revocation: every operation answers as the truth table says', async t => {
  const cause = CAUSES.find(({ name }) => name === 'machine slept')
  assert.ok(cause)
  const sleeping = await cloudThatSleeps({ after: close => t.after(close) }, outside)
  const row = await play(sleeping, await openStage(sleeping, 'asleep', outside), cause)
  assert.deepEqual(differences(row, LEASE_SECONDS), [])
})

test('R22 R23 R24 R25: a vault that is out of reach: every operation answers as the truth table says, and the invariants hold', async () => {
  const cause = CAUSES.find(({ name }) => name === 'vault unreachable')
  assert.ok(cause)
  assert.deepEqual(differences(await play(cloud, stage, cause), LEASE_SECONDS), [])
})

test('R22 R25: a vault that answers 503 closes the data when the lease is over; a slow one does not; running deployments go on', async () => {
  const slow = `each answer takes ${LEASE_SECONDS + 0.5} s, longer than the lease`
  const rows = await playTroubles(cloud, stage, ['each request is answered with 503', slow])
  assert.deepEqual(
    rows.flatMap(({ wrong }) => wrong),
    [],
  )
})

test('R19 R21 R27: of many accounts on one vault one loses its key alone, and all lose it within the lease', async t => {
  const rows = await playMany({ after: close => t.after(close) }, 4, ['key deleted'])
  assert.deepEqual(
    rows.flatMap(({ wrong }) => wrong),
    [],
  )
})
