import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ForwardedRecords } from '../store/forwarded-records.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import { put, type RecordStore } from '../store/records.ts'
import { purgeVault } from './purge-vault.ts'
import type { KeyVaultServices } from './services.ts'
import { vaults, type Vault } from './vault-record.ts'

const name = 'kv-twice'
const vaultOf = (id: string): Vault => ({ id, name }) as Vault

test('of two purges of a vault the later one takes nothing from the vault that has the name since', async () => {
  const records = openMemoryRecords()
  await records.commit([put(vaults, name, vaultOf('old'))])
  const [begun, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const list: RecordStore['list'] = async (from, options) => {
    begun.resolve()
    await go.promise
    return records.list(from, options)
  }
  const slow = Object.assign(new ForwardedRecords(records), { list })
  const purge = purgeVault({ records: slow } as unknown as KeyVaultServices, vaultOf('old'))
  await begun.promise
  await purgeVault({ records } as unknown as KeyVaultServices, vaultOf('old'))
  assert.equal(await records.get(vaults, name), undefined)
  await records.commit([put(vaults, name, vaultOf('new'))])
  go.resolve()
  await purge
  assert.equal((await records.get(vaults, name))?.value.id, 'new')
})
