import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ForwardedRecords } from '../store/forwarded-records.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import { put, type Collection, type ListOptions } from '../store/records.ts'
import { keys } from './key-record.ts'
import { purgeVault } from './purge-vault.ts'
import type { KeyVaultServices } from './services.ts'
import { vaultWith } from './vault.fixture.ts'
import { vaults, type Vault } from './vault-record.ts'

const going: Vault = { ...vaultWith(), purging: true }

/** Purges the vault, while `meanwhile` happens after the last look for its keys. */
async function purgedWhile(meanwhile: (records: ForwardedRecords) => Promise<unknown>): Promise<Vault | undefined> {
  const inner = openMemoryRecords()
  const plain = new ForwardedRecords(inner)
  const records = Object.assign(new ForwardedRecords(inner), {
    async list<T>(from: Collection<T>, options: ListOptions) {
      const found = await inner.list(from, options)
      if (from.name === keys.name) await meanwhile(plain)
      return found
    },
  })
  await records.commit([put(vaults, going.name, going)])
  await purgeVault({ records } as unknown as KeyVaultServices, going)
  return (await records.get(vaults, going.name))?.value
}

test('a purge leaves a vault alone that got the name of the one that somebody else purged meanwhile', async () => {
  const later = { ...vaultWith(), id: 'cccccccc-0000-4000-8000-000000000002' }
  const left = await purgedWhile(async records => {
    await purgeVault({ records } as unknown as KeyVaultServices, going)
    await records.commit([put(vaults, later.name, later, 0)])
  })
  assert.deepEqual(left, later)
})

test('the name of a vault is free after its purge, though somebody else marked it anew meanwhile', async () => {
  assert.equal(await purgedWhile(records => records.commit([put(vaults, going.name, going)])), undefined)
})
