import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { pause, refusal, untilAllowed, untilRefused, Azure } from '../support/azure.ts'
import { keyedAccount } from '../support/causes.ts'
import { cloudFor, LEASE_SECONDS } from '../support/cloud.ts'
import { engineProcesses } from '../support/engine-processes.ts'

const cloud = await cloudFor({ after }, ['--key-watch-seconds', '1'])
const azure = await Azure.in(cloud.endpoints)
const { account, vault, principalId } = await keyedAccount(azure, 'strict')
const file = await account.upload('served with the key alone')
const { fine_tuned_model: model } = await account.jobIs(await account.train(file), ['succeeded'])

const deploy = (name: string, onKeyUnavailable?: string) =>
  azure.arm('PUT', `${azure.accountPath(account.name)}/deployments/${name}`, {
    sku: { name: 'Standard', capacity: 1 },
    properties: { model: { format: 'OpenAI', name: model, version: '1' }, onKeyUnavailable },
  })
const revoke = () => azure.policy(vault, 'remove', principalId)
const grant = () => azure.policy(vault, 'add', principalId)

test('an update of a deployment without onKeyUnavailable keeps its value', async () => {
  assert.equal((await deploy('lasting')).body.properties.onKeyUnavailable, 'serve')
  assert.equal((await deploy('strict', 'stop')).body.properties.onKeyUnavailable, 'stop')
  assert.equal((await deploy('strict')).body.properties.onKeyUnavailable, 'stop')
  assert.equal((await deploy('wrong', 'explode')).status, 400)
  assert.notEqual(await account.chat('strict'), '')
})

test('R25: onKeyUnavailable stop ends serving within the lease, also after a restart', async t => {
  await revoke()
  const { seconds, status, code, message } = await untilRefused(() => account.chat('strict'))
  t.diagnostic(`stopped after ${seconds.toFixed(2)} s: ${message}`)
  assert.ok(seconds < LEASE_SECONDS + 1)
  assert.deepEqual([status, code], [403, 'CustomerManagedKeyUnavailable'])
  assert.match(message, /'strict' stops when its key is unavailable/)
  assert.notEqual(await account.chat('lasting'), '')
  await cloud.restart()
  assert.equal((await refusal(() => account.chat('strict')))?.status, 403)
  assert.notEqual(await account.chat('lasting'), '')
  // It can't be changed to one that keeps serving without the key.
  assert.equal((await deploy('strict', 'serve')).status, 403)
  await grant()
  await untilAllowed(() => account.chat('strict'))
})

test('the process of a deployment that stops with its key ends also without requests', async () => {
  await account.chat('strict')
  await account.chat('lasting')
  const serving = (): number => engineProcesses(cloud.pid, 'inference')
  const before = serving()
  await revoke()
  for (let tries = 0; serving() !== before - 1; tries += 1) {
    assert.ok(tries < 100, `${serving()} of ${before} processes are left`)
    await pause(50)
  }
  assert.notEqual(await account.chat('lasting'), '')
  await grant()
  await untilAllowed(() => account.chat('strict'))
  assert.equal((await account.undeploy('strict')).status, 200)
})
