import assert from 'node:assert/strict'
import { test } from 'node:test'
import { administratorCredential, ArmClient } from '../../src/harness/azure-client.ts'
import { ownkey } from '../audit/ownkey.fixture.ts'
import { sceneFor } from '../support/cloud.ts'

test('a deleted account is kept for 48 hours and then purged by itself · R28', async t => {
  const { scene, dataDir } = await sceneFor(t, ['--clock-control'])
  const { location } = scene.endpoints
  const arm = new ArmClient(scene.endpoints, administratorCredential(scene.endpoints))
  const version = '2025-09-01'
  const account = '/resourceGroups/demo/providers/Microsoft.CognitiveServices/accounts/contoso'
  const gone = `/providers/Microsoft.CognitiveServices/locations/${location}/resourceGroups/demo/deletedAccounts/contoso`
  const advance = async (time: string) => {
    const { code, errors } = await ownkey('clock', 'advance', time, '--data-dir', dataDir)
    assert.equal(code, 0, errors)
  }
  const create = () =>
    arm.call<{ properties: { internalId: string } }>('PUT', account, version, { location, kind: 'OpenAI' })
  const before = await arm.call<{ properties: { internalId: string } }>('GET', account, version)
  await arm.call('DELETE', account, version)
  await advance('1d')
  assert.equal((await arm.call<{ name: string }>('GET', gone, version)).name, 'contoso')
  await assert.rejects(create(), { code: 'FlagMustBeSetForRestore' })
  await advance('2d')
  await assert.rejects(arm.call('GET', gone, version), { status: 404 })
  assert.notEqual((await create()).properties.internalId, before.properties.internalId)
})
