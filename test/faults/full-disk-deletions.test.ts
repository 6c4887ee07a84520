import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import { auditRecords, ownkey } from '../audit/ownkey.fixture.ts'
import { Azure, BASE_MODEL, pause, untilAllowed, type Reply } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { engineProcesses } from '../support/engine-processes.ts'
import { noSmallDisk } from '../support/small-machine.ts'
import { smallDisk } from './small-disk.ts'

const DAYS = 86_400
const GROUPS = '2025-04-01'
const VAULTS = '2023-07-01'
const before = process.env['TMPDIR']
const disk = smallDisk({ after }, 96)

suite('deletions on a full disk', { skip: noSmallDisk }, async () => {
  if (disk === undefined) return
  process.env['TMPDIR'] = disk.folder
  const cloud = await cloudFor({ after }, ['--clock-control'])
  if (before === undefined) delete process.env['TMPDIR']
  else process.env['TMPDIR'] = before
  const { location } = cloud.endpoints
  // A key and an account that are due at about the same time: the key is kept for 7 days, the account for 2.
  const early = await Azure.in(cloud.endpoints)
  const earlyKeys = await early.vault('kv-due', { enablePurgeProtection: undefined, softDeleteRetentionInDays: 7 })
  await earlyKeys.createRsaKey('due')
  const { properties } = (await earlyKeys.beginDeleteKey('due')).getResult() ?? {}
  await (await early.account('due-gone')).upload('due-gone')
  await early.armRoot('PUT', '/ownkey/clock', { advanceSeconds: 5 * DAYS })
  // What a token of before the jump allows is over.
  const azure = new Azure(cloud.endpoints)
  const due = await azure.deleteAccount('due-gone')
  const [working, leaving, soonGone] = [
    await azure.account('working'),
    await azure.account('leaving'),
    await azure.account('soon-gone'),
  ]
  for (const { openai } of [working, leaving, soonGone]) openai.maxRetries = 0
  const keys = azure.keys('kv-due')
  await azure.vault('kv-purged', { enablePurgeProtection: undefined })
  await azure.keys('kv-purged').createRsaKey('key')
  await keys.createRsaKey('asked')
  const trained = await working.upload('trained')
  const done = await working.train(trained)
  const { fine_tuned_model: model } = await working.jobIs(done, ['succeeded'])
  assert.equal((await working.deploy('tuned', String(model))).status, 201)
  for (const account of [leaving, soonGone]) await account.upload(account.name)
  assert.equal((await leaving.deploy('base', BASE_MODEL)).status, 201)
  const soon = await azure.deleteAccount('soon-gone')
  for (const path of [due, soon]) while ((await azure.arm('GET', path)).status !== 200) await pause(20)
  await azure.arm('PUT', '/resourceGroups/doomed', { location }, GROUPS)
  const inside = '/resourceGroups/doomed/providers/Microsoft.CognitiveServices/accounts/inside'
  const made = await azure.arm('PUT', inside, { location, kind: 'OpenAI', sku: { name: 'S0' } })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  await (await keys.beginDeleteKey('asked')).pollUntilDone()
  const long = { hyperparameters: { n_epochs: 50, batch_size: 1 } }
  const data = await working.upload('long', 'long.jsonl', 1000)
  const theirs = await leaving.upload('long', 'long.jsonl', 1000)
  const running = await working.train(data, long)
  await working.jobIs(running, ['running'])
  const waiting = await working.train(data, long)
  await leaving.train(theirs, long)
  // Two seconds before the first of them is due.
  const time = new Date(Number(properties?.scheduledPurgeDate) - 2000).toISOString()
  assert.equal((await azure.armRoot('PUT', '/ownkey/clock', { time })).status, 200)
  const late = new Azure(cloud.endpoints)
  await disk.fill()

  const ended = async (answer: Reply): Promise<Reply> => {
    assert.equal(answer.status, 202, JSON.stringify(answer.body))
    const { pathname, search } = new URL(answer.headers.get('location') ?? '')
    for (;;) {
      const reply = await late.armRoot('GET', `${pathname}${search}`)
      if (reply.status !== 202) return reply
      await pause(50)
    }
  }

  test('a waiting and a running job are cancelled', async () => {
    assert.equal((await working.openai.fineTuning.jobs.cancel(waiting)).status, 'cancelled')
    assert.equal((await working.openai.fineTuning.jobs.cancel(running)).status, 'cancelled')
  })

  test('a deployment, a fine-tuned model and the file behind it are deleted', async () => {
    assert.equal((await working.undeploy('tuned')).status, 200)
    assert.equal((await working.openai.models.delete(String(model))).deleted, true)
    assert.equal((await working.openai.files.delete(trained)).deleted, true)
  })

  test('R28: an account with a waiting job and a deployment is deleted, and no process of it is left', async () => {
    assert.equal((await ended(await late.arm('DELETE', late.accountPath('leaving')))).status, 200)
    assert.equal((await late.arm('GET', late.accountPath('leaving'))).status, 404)
    assert.equal(engineProcesses(cloud.pid, 'inference'), 0)
  })

  test('an account, a key and a vault are purged', async () => {
    assert.equal((await ended(await late.arm('DELETE', soon))).status, 200)
    assert.equal((await late.arm('GET', soon)).status, 404)
    await late.keys('kv-due').purgeDeletedKey('asked')
    assert.equal((await late.arm('DELETE', late.vaultPath('kv-purged'), undefined, VAULTS)).status, 200)
    const deleted = `/providers/Microsoft.KeyVault/locations/${location}/deletedVaults/kv-purged`
    const purged = await late.arm('POST', `${deleted}/purge`, undefined, VAULTS)
    assert.equal(purged.status, 200, JSON.stringify(purged.body))
    assert.equal((await late.arm('GET', deleted, undefined, VAULTS)).status, 404)
  })

  test('a key and an account whose time is over are purged by the service itself', async () => {
    for (const deadline = Date.now() + 60_000; Date.now() < deadline; await pause(500))
      if ((await late.arm('GET', due)).status === 404) break
    assert.equal((await late.arm('GET', due)).status, 404)
    await assert.rejects(late.keys('kv-due').getDeletedKey('due'), { statusCode: 404 })
  })

  test('a group is deleted with what is in it', async () => {
    assert.equal((await ended(await late.arm('DELETE', '/resourceGroups/doomed', undefined, GROUPS))).status, 200)
    assert.equal((await late.arm('GET', inside)).status, 404)
  })

  test('what was deleted is gone after a restart on the full disk, and with room again all of it is in the audit log', async () => {
    await cloud.restart('kill')
    for (const job of [running, waiting])
      assert.equal((await working.openai.fineTuning.jobs.retrieve(job)).status, 'cancelled')
    await assert.rejects(working.openai.files.retrieve(trained), { status: 404 })
    assert.equal((await late.arm('GET', late.accountPath('leaving'))).status, 404)
    await disk.makeRoom()
    await untilAllowed(() => working.upload('room again'), 15)
    await cloud.stop()
    const proof = await ownkey('verify', '--data-dir', cloud.dataDir)
    assert.equal(proof.code, 0, `${proof.output}${proof.errors}`)
    const records = await auditRecords(cloud.dataDir, '--last', '500')
    const count = (name: string): number =>
      records.filter(({ operationName, resultType }) => operationName === name && resultType === 'Success').length
    assert.equal(count('VaultPurge'), 1)
    assert.equal(count('KeyPurge'), 2)
  })
})
