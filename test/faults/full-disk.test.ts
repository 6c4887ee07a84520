import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { auditRecords, ownkey } from '../audit/ownkey.fixture.ts'
import {
  Azure,
  BASE_MODEL,
  refusal,
  untilAllowed,
  untilRefused,
  type Refusal,
  type TestAccount,
} from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { Graph, tokenRequest } from '../support/graph.ts'
import { signIns } from '../support/sign-in.ts'
import { noSmallDisk } from '../support/small-machine.ts'
import { smallDisk } from './small-disk.ts'

const before = process.env['TMPDIR']
const disk = smallDisk({ after }, 96)

suite('a full disk', { skip: noSmallDisk }, async () => {
  if (disk === undefined) return
  process.env['TMPDIR'] = disk.folder
  const cloud = await cloudFor({ after })
  if (before === undefined) delete process.env['TMPDIR']
  else process.env['TMPDIR'] = before
  const azure = await Azure.in(cloud.endpoints)
  const account = await azure.account('crowded')
  account.openai.maxRetries = 0
  const keys = await azure.vault('kv-crowded')
  const { properties } = await keys.createRsaKey('cmk', { keySize: 2048 })
  await keys.createRsaKey('spare', { keySize: 2048 })
  await azure.policy('kv-crowded', 'add', account.principalId)
  assert.equal((await account.encrypt({ vault: 'kv-crowded', name: 'cmk', version: properties.version })).status, 200)
  const kept = await account.upload('kept')
  const many = await uploads(account, 12)
  assert.equal((await account.deploy('base', BASE_MODEL)).status, 201)
  const stored = async (): Promise<string[]> =>
    (await readdir(join(cloud.dataDir, 'blobs'), { recursive: true, withFileTypes: true }))
      .filter(entry => entry.isFile())
      .map(({ name }) => name)
  const { clientId, clientSecret } = cloud.endpoints.administrator
  const applicationSignIn = () =>
    tokenRequest(cloud.endpoints, {
      grant_type: 'client_credentials',
      client_id: clientId,
      client_secret: clientSecret,
      scope: 'https://vault.azure.net/.default',
    })
  await azure.account('keyed')
  const directory = await Graph.asAdministrator(cloud.endpoints)
  const { appId } = await directory.get('POST', '/applications', { displayName: 'leaving' })
  const { id: principalId } = await directory.get('POST', '/servicePrincipals', { appId })
  const [{ id: userId } = { id: '' }] = (await directory.get<{ value: { id: string }[] }>('GET', '/users')).value
  const blobs = await stored()
  await disk.fill()

  test('R25: chats, downloads under a renewed lease, lists and sign-ins go on', async () => {
    for (let round = 0; round < 3; round += 1) {
      assert.notEqual(await account.chat('base'), '')
      // Longer than a lease, so the vault is asked again, and records that.
      await new Promise(resolve => setTimeout(resolve, 1200))
      assert.match((await account.download(kept)).toString(), /kept/)
      assert.equal((await account.openai.files.list()).data.length, 13)
      assert.equal((await azure.arm('GET', azure.accountPath(account.name))).status, 200)
      assert.equal((await applicationSignIn()).status, 200)
    }
    const { signedIn, newBrowser, redeem } = signIns(cloud.endpoints)
    const tokens = await redeem(await signedIn(newBrowser()))
    assert.equal(tokens.status, 200, JSON.stringify(tokens))
  })

  test('requests that need room are refused with 507, which says why and when to repeat', async () => {
    const refused = await storageRefusal(() => account.upload('too much'))
    assert.equal(refused.status, 507)
    assert.equal(refused.code, 'InsufficientStorage')
    assert.match(refused.message, /disk of this service is full: nothing was stored or changed/)
    const answer = await azure.arm('PATCH', azure.accountPath(account.name), { tags: { a: 'b' } })
    assert.equal(answer.status, 507, JSON.stringify(answer.body))
    assert.equal(answer.headers.get('retry-after'), '10')
    assert.equal(answer.body.error.code, 'InsufficientStorage')
    assert.equal((await refusal(() => account.encrypt()))?.status, 507)
    assert.equal((await refusal(() => account.deploy('another', BASE_MODEL)))?.status, 507)
    assert.deepEqual(await stored(), blobs)
  })

  test('R19 R21 R31: taking access away still works: a key, an API key, a policy, an application, a sign-in, an identity', async () => {
    const version = properties.version ?? ''
    assert.equal((await keys.updateKeyProperties('cmk', version, { enabled: false })).properties.enabled, false)
    await untilRefused(() => account.download(kept))
    await keys.updateKeyProperties('cmk', version, { enabled: true })
    await untilAllowed(() => account.download(kept), 5)
    await azure.policy('kv-crowded', 'remove', account.principalId)
    await untilRefused(() => account.download(kept))
    await azure.policy('kv-crowded', 'add', account.principalId)
    await untilAllowed(() => account.download(kept), 5)
    const regenerated = await azure.arm('POST', `${azure.accountPath('keyed')}/regenerateKey`, { keyName: 'Key1' })
    assert.equal(regenerated.status, 200, JSON.stringify(regenerated.body))
    const graph = await Graph.asAdministrator(cloud.endpoints)
    const disabled = await graph.ask('PATCH', `/servicePrincipals/${String(principalId)}`, { accountEnabled: false })
    assert.equal(disabled.status, 204, JSON.stringify(disabled.body))
    assert.equal((await graph.ask('POST', `/users/${userId}/revokeSignInSessions`)).status, 200)
    const withoutIdentity = await azure.arm('PATCH', azure.accountPath('keyed'), { identity: { type: 'None' } })
    assert.equal(withoutIdentity.status, 200, JSON.stringify(withoutIdentity.body))
  })

  test('deletions go on, with their audit records', async () => {
    for (const id of many) assert.equal((await account.openai.files.delete(id)).deleted, true)
    assert.equal((await account.undeploy('base')).status, 200)
    await (await keys.beginDeleteKey('spare')).pollUntilDone()
    assert.equal((await account.openai.files.list()).data.length, 1)
    await cloud.restart('kill')
    assert.equal((await account.openai.files.list()).data.length, 1)
    assert.match((await account.download(kept)).toString(), /kept/)
  })

  test('with room again everything works by itself, and held records are in the audit log', async () => {
    await account.download(kept)
    await disk.makeRoom()
    await untilAllowed(() => account.upload('room again'), 15)
    assert.equal((await azure.arm('PATCH', azure.accountPath(account.name), { tags: { a: 'b' } })).status, 200)
    await cloud.restart('clean')
    const records = await auditRecords(cloud.dataDir, '--last', '500')
    const names = records.map(({ operationName, resultSignature }) => `${operationName} ${resultSignature}`)
    assert.ok(names.filter(name => name.includes('OpenAI/files/delete')).length >= 12, names.join('\n'))
    assert.ok(
      names.some(name => name.includes('OpenAI/files/read')),
      names.join('\n'),
    )
    const proof = await ownkey('prove', '--data-dir', cloud.dataDir)
    assert.equal(proof.code, 0, proof.output)
    assert.equal((await ownkey('audit', 'verify', '--data-dir', cloud.dataDir)).code, 0)
  })
})

async function uploads(account: TestAccount, count: number): Promise<string[]> {
  const ids: string[] = []
  for (let n = 0; n < count; n += 1) ids.push(await account.upload(`many ${n}`))
  return ids
}

async function storageRefusal(run: () => Promise<unknown>): Promise<Refusal> {
  const refused = await refusal(run)
  assert.ok(refused !== undefined, 'it went through')
  return refused
}
