import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Azure, pause, refusal } from '../support/azure.ts'
import { keyedAccount } from '../support/causes.ts'
import { cloudFor } from '../support/cloud.ts'
import { engineProcesses } from '../support/engine-processes.ts'
import { outsideVault } from '../support/outside-vault.ts'

/** How long the machine may take after it wakes. */
const BOUND_MS = 500 + 500
const preload = new URL('../support/sleeping-clock.mjs', import.meta.url).href

const outside = await outsideVault({ after })
process.env['NODE_OPTIONS'] += ` --import=${preload}`
const cloud = await cloudFor({ after }, ['--outside-vaults', outside.pattern, '--key-lease-seconds', '60'])
const azure = await Azure.in(cloud.endpoints)
const { account } = await keyedAccount(azure, 'asleep', outside)
const file = await account.upload('before the night')

test('a machine that slept through its leases serves nothing on them', async t => {
  const jobId = await account.train(file, { hyperparameters: { n_epochs: 1000, batch_size: 1 } })
  await account.jobIs(jobId, ['running'])
  while (engineProcesses(cloud.pid, 'trainer') === 0) await pause(20)
  await outside.permit([])
  // It has nearly a minute left.
  await account.download(file)
  process.kill(cloud.pid, 'SIGUSR2')
  const woken = performance.now()
  const [refused] = await Promise.all([refusal(() => account.download(file)), gone(woken)])
  const taken = performance.now() - woken
  t.diagnostic(`refused and gone after ${taken.toFixed(0)} ms`)
  assert.equal(refused?.code, 'CustomerManagedKeyUnavailable')
  assert.ok(taken < BOUND_MS, `${taken.toFixed(0)} ms`)
  await account.jobIs(jobId, ['paused'], 5)
})

async function gone(since: number): Promise<void> {
  while (engineProcesses(cloud.pid, 'trainer') > 0) {
    assert.ok(performance.now() - since < 10_000, 'the process of the job is still there')
    await pause(20)
  }
}
