import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { connect } from 'node:tls'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { administratorCredential, ArmClient, openAiClient } from '../../src/harness/azure-client.ts'
import { startCloudProcess } from '../../src/harness/cloud-process.ts'
import type { Scene } from '../../src/harness/scene.ts'
import { auditRecords, ownkey } from '../audit/ownkey.fixture.ts'
import { sceneFor } from '../support/cloud.ts'

const CONTROL = ['--clock-control']

const arm = (scene: Scene): ArmClient => new ArmClient(scene.endpoints, administratorCredential(scene.endpoints))

async function clock(dataDir: string, ...words: readonly string[]): Promise<string> {
  const { code, output, errors } = await ownkey('clock', ...words, '--data-dir', dataDir)
  assert.equal(code, 0, errors)
  return output
}

test('91 days later deleted keys and vaults are gone, rotation policies have acted and notices are recorded · R08 R18', async t => {
  const { scene, dataDir, cloud } = await sceneFor(t, CONTROL)
  const { tenantId, location } = scene.endpoints
  await (await scene.keys.beginDeleteKey((await scene.keys.createEcKey('deleted')).name)).pollUntilDone()
  await scene.keys.createRsaKey('rotating', { keySize: 2048 })
  const properties = { tenantId, sku: { family: 'A', name: 'standard' }, accessPolicies: [] }
  const path = '/resourceGroups/demo/providers/Microsoft.KeyVault/vaults/old-vault'
  await arm(scene).call('PUT', path, '2023-07-01', { location, properties })
  await arm(scene).call('DELETE', path, '2023-07-01')
  await rotateEvery30Days(scene)

  assert.match(await clock(dataDir, 'advance', '89d'), /89 days ahead of this machine/)
  await scene.keys.getDeletedKey('deleted')
  assert.match(await clock(dataDir, 'advance', '2d'), /91 days ahead of this machine/)
  await assert.rejects(scene.keys.getDeletedKey('deleted'), { statusCode: 404 })
  const gone = `/providers/Microsoft.KeyVault/locations/${location}/deletedVaults/old-vault`
  await assert.rejects(arm(scene).call('GET', gone, '2023-07-01'), { status: 404 })
  let versions = 0
  for await (const _ of scene.keys.listPropertiesOfKeyVersions('rotating')) versions++
  assert.equal(versions, 4)

  const names = (await auditRecords(dataDir)).map(({ operationName }) => operationName)
  const count = (name: string): number => names.filter(one => one === name).length
  assert.equal(count('KeyPurge'), 1)
  assert.equal(count('VaultPurge'), 1)
  assert.equal(count('KeyRotateIfDue'), 3)
  // The first version is older than the policy and never expires; the newest is one day old.
  assert.equal(count('KeyNearExpiryEventGridNotification'), 2)
  assert.equal(count('OwnKey/clock/write'), 2)

  await cloud.stop()
  const again = await startCloudProcess(dataDir, CONTROL)
  t.after(() => again.stop())
  assert.match(await clock(dataDir), /91 days ahead of this machine/)
})

async function rotateEvery30Days(scene: Scene): Promise<void> {
  const administrator = (await administratorCredential(scene.endpoints).getToken('https://vault.azure.net/.default'))
    ?.token
  const objectId = (
    JSON.parse(Buffer.from(administrator?.split('.')[1] ?? '', 'base64url').toString()) as { oid: string }
  ).oid
  const accessPolicies = [
    { tenantId: scene.endpoints.tenantId, objectId, permissions: { keys: ['setrotationpolicy'] } },
  ]
  const path = `/resourceGroups/demo/providers/Microsoft.KeyVault/vaults/${scene.vault}/accessPolicies/add`
  await arm(scene).call('PUT', path, '2023-07-01', { properties: { accessPolicies } })
  await scene.keys.updateKeyRotationPolicy('rotating', {
    expiresIn: 'P90D',
    lifetimeActions: [
      { action: 'Rotate', timeAfterCreate: 'P30D' },
      { action: 'Notify', timeBeforeExpiry: 'P80D' },
    ],
  })
}

test('tokens follow the clock, certificates do not; forward, back and forward again everything goes on working · R13', async t => {
  const { scene, dataDir, keyVersion } = await sceneFor(t, CONTROL)
  await scene.setEncryption(keyVersion)
  const { key1 } = await arm(scene).call<{ key1: string }>(
    'POST',
    '/resourceGroups/demo/providers/Microsoft.CognitiveServices/accounts/contoso/listKeys',
    '2025-06-01',
  )
  const openai = openAiClient(scene.endpoints, 'contoso', key1)
  const training = await readFile(new URL('../data/marv.jsonl', import.meta.url))
  const file = await openai.files.create({ file: new File([training], 'marv.jsonl'), purpose: 'fine-tune' })
  const opens = async (): Promise<void> => {
    // After a lease the account's identity has to ask the vault again.
    await new Promise(resolve => setTimeout(resolve, 1200))
    const content = await openai.files.content(file.id)
    assert.deepEqual(Buffer.from(await content.arrayBuffer()), training)
    await scene.keys.getKey(scene.key)
  }
  const token = (await administratorCredential(scene.endpoints).getToken(`${scene.endpoints.resourceManager}/.default`))
    ?.token
  const subscriptions = (): Promise<Response> =>
    fetch(`${scene.endpoints.resourceManager}/subscriptions?api-version=2022-12-01`, {
      headers: { authorization: `Bearer ${token ?? ''}` },
    })
  assert.equal((await subscriptions()).status, 200)
  await opens()
  for (const words of [['advance', '2h'], ['advance', '10y'], ['reset'], ['set', '2020-02-29T12:00:00Z'], ['reset']]) {
    await clock(dataDir, ...words)
    assert.equal((await subscriptions()).status, words[0] === 'reset' ? 200 : 401, words.join(' '))
    await opens()
    const { validTo } = await certificateOf(scene.endpoints.port)
    assert.ok(Date.parse(validTo) > Date.now() && Date.parse(validTo) < Date.now() + 5 * 366 * 86_400_000)
  }
})

function certificateOf(port: number): Promise<X509Certificate> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', servername: 'management.localhost' }, () => {
      const { raw } = socket.getPeerCertificate()
      socket.end()
      resolve(new X509Certificate(raw))
    })
    socket.once('error', reject)
  })
}

test('the clock refuses a text that is not a time, with an example', async t => {
  const { dataDir } = await sceneFor(t, CONTROL)
  for (const words of [
    ['advance'],
    ['advance', '91'],
    ['advance', '0d'],
    ['set', 'tomorrow'],
    ['set', '1970-01-01'],
    ['set', '2999-01-01'],
    ['wind'],
  ]) {
    const { code, errors } = await ownkey('clock', ...words, '--data-dir', dataDir)
    // A text that can't be a time is a usage error; a time that the cloud refuses is not.
    assert.equal(code, words[1]?.includes('-') === true ? 1 : 2, words.join(' '))
    assert.match(errors, /use|can be set/)
  }
  assert.match(await clock(dataDir, 'show'), /as on this machine/)
})
