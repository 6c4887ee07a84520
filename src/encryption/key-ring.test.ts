import assert from 'node:assert/strict'
import { createSecretKey, randomBytes, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { openMemoryRecords } from '../store/memory-records.ts'
import { KeyRing } from './key-ring.ts'
import { VaultWaits } from './vault-waits.ts'

const key = (): KeyObject => createSecretKey(randomBytes(32))

test('R31: after a change of identity neither the earlier lease nor the earlier clients are used', async () => {
  const records = openMemoryRecords()
  const ring = new KeyRing({
    records,
    rootKeys: {
      service: key(),
      mac: key(),
      deployment: key(),
      hsm: key(),
      records: key(),
      identity: key(),
      bases: key(),
    },
    leaseMs: 60_000,
    vaults: { agentFor: () => undefined, timeoutMs: 1, waits: new VaultWaits() },
    credentialOf: () => ({ getToken: async () => null }),
    settingsOf: async () => undefined,
  })
  await records.commit([...(await ring.create('one')), ...(await ring.create('two'))])
  const asked: string[] = []
  const inherited = ring.kek.bind(ring)
  ring.kek = (accountId, kekId) => {
    asked.push(accountId)
    return inherited(accountId, kekId)
  }
  const use = async (accountId: string): Promise<string[]> => {
    asked.length = 0
    await ring.leases.keys(accountId)
    return [...new Set(asked)]
  }
  const keyId = `https://v.example/keys/k/${'a'.repeat(32)}`
  const clients = ['one', 'two'].map(accountId => ring.vaultKey(accountId, keyId))
  assert.deepEqual([await use('one'), await use('two'), await use('one')], [['one'], ['two'], []])
  ring.forget('one')
  assert.deepEqual([await use('one'), await use('two')], [['one'], []])
  assert.notEqual(ring.vaultKey('one', keyId), clients[0])
  assert.equal(ring.vaultKey('two', keyId), clients[1])
})
