import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { keyVersions } from '../../src/keyvault/key-record.ts'
import { put } from '../../src/store/records.ts'
import { startCloud } from './cloud.fixture.ts'

const cloud = await startCloud()
after(() => cloud.close())

test('L4: a key whose rotation fails does not hold up other keys or vaults', async () => {
  const policy = {
    lifetimeActions: [{ action: 'Rotate' as const, timeAfterCreate: 'P30D' }],
    expiresIn: 'P90D',
  }
  for (const vault of ['kv-aa', 'kv-zz']) {
    await cloud.vault(vault)
    for (const key of ['k1', 'k2']) {
      await cloud.keys(vault).createEcKey(key)
      await cloud.keys(vault).updateKeyRotationPolicy(key, policy)
    }
  }
  const versions = await cloud.records.list(keyVersions, { limit: 100 })
  const broken = versions.find(({ id }) => id.includes('/k1/'))
  assert.ok(broken !== undefined)
  // As when its token is gone.
  await cloud.records.commit([put(keyVersions, broken.id, { ...broken.value, kty: 'RSA-HSM' })])
  await assert.rejects(cloud.advance(31))
  const rotated: number[] = []
  for (const vault of ['kv-aa', 'kv-zz'])
    for (const key of ['k1', 'k2']) {
      let count = 0
      for await (const _ of cloud.keys(vault).listPropertiesOfKeyVersions(key)) count += 1
      rotated.push(count)
    }
  assert.equal(rotated.filter(count => count === 2).length, 3, String(rotated))
})
