import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { systemEnv } from '../base/env.ts'
import { openLeases } from '../store/leases.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import { put } from '../store/records.ts'
import { SharedRecords } from '../store/shared-records.test-support.ts'
import { accounts, type Account } from './account.ts'
import { KeyWatch } from './key-watch.ts'

const ROUND_MS = 20
const kekId = 'https://kv/keys/k/1'
const encryption = { keySource: 'Microsoft.KeyVault', keyVaultProperties: { keyVersion: '1' } }

test('of several processes one asks the vaults, until it ends', async () => {
  const shared = new SharedRecords(openMemoryRecords())
  await shared.open().commit([put(accounts, 'a', { accountId: 'a', encryption } as unknown as Account)])
  const asked: number[] = []
  const [first, second] = [0, 1].map(which => {
    const records = shared.open()
    const services = {
      records,
      env: systemEnv,
      leases: openLeases(records, Date.now),
      keyRing: { currentKekId: async () => kekId, leases: { probe: async () => void asked.push(which) } },
      keyStatuses: { of: () => ({ keyIdentifier: kekId, state: 'Active' }), sinceAsked: () => Infinity },
    }
    const log = (_: string, error: unknown): void => assert.fail(String(error))
    return new KeyWatch(services as unknown as ConstructorParameters<typeof KeyWatch>[0], ROUND_MS, log)
  })
  assert.ok(first && second)
  first.start()
  while (asked.length === 0) await setTimeout(1)
  second.start()
  while (asked.length < 10) await setTimeout(1)
  assert.deepEqual(new Set(asked), new Set([0]))
  await first.close()
  while (!asked.includes(1)) await setTimeout(1)
  await second.close()
})
