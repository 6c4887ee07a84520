import assert from 'node:assert/strict'
import { createSecretKey, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { systemEnv } from '../base/env.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import { put, remove } from '../store/records.ts'
import { SharedRecords } from '../store/shared-records.test-support.ts'
import { keyId, keyMaterial, keys, type Key, versionId, type KeyVersion } from './key-record.ts'
import { openMaterialStore } from './material-store.ts'
import { openSoftwareModule } from './software-module.ts'
import { vaultWith } from './vault.fixture.ts'

const hsmKey = createSecretKey(randomBytes(32))
const version = { version: 'a'.repeat(32), kty: 'oct-HSM' } as KeyVersion

async function sealedKey() {
  const records = openMemoryRecords()
  const store = openMaterialStore(records, hsmKey, openSoftwareModule(systemEnv))
  const material = randomBytes(32)
  const plain = Buffer.from(material)
  await records.commit([store.seal(vaultWith(), 'k', version.version, material)])
  return { records, store, plain, left: material }
}

test('key material is stored sealed, and its plaintext is overwritten · R01', async () => {
  const { records, store, plain, left } = await sealedKey()
  assert.ok(left.every(byte => byte === 0))
  const [stored] = await records.list(keyMaterial, { limit: 1000 })
  assert.equal(Buffer.from(stored?.value.sealed ?? '', 'base64').includes(plain), false)
  assert.deepEqual(await store.reveal(vaultWith(), 'K', version.version), plain)
})

test('material moved to another vault, name or version does not open', async () => {
  const { records, store } = await sealedKey()
  const [stored] = await records.list(keyMaterial, { limit: 1000 })
  const other = { ...vaultWith(), id: 'another vault of the same name' }
  for (const [vault, name, id] of [
    [other, 'k', version.version],
    [vaultWith(), 'j', version.version],
    [vaultWith(), 'k', 'b'.repeat(32)],
  ] as const) {
    await records.commit([put(keyMaterial, versionId(vault, name, id), stored!.value)])
    await assert.rejects(store.reveal(vault, name, id), { name: 'SealError' })
  }
})

test('a key in use is decoded once, and forgotten on demand', async () => {
  const { store } = await sealedKey()
  const first = store.open(vaultWith(), 'k', version)
  assert.equal(store.open(vaultWith(), 'K', version), first)
  store.forget(`${vaultWith().id}/k/`)
  assert.notEqual(store.open(vaultWith(), 'k', version), first)
})

test('a key that was not used for ten minutes is not kept decoded', async () => {
  const { records } = await sealedKey()
  let now = 0
  const store = openMaterialStore(records, hsmKey, openSoftwareModule(systemEnv), () => now)
  const first = store.open(vaultWith(), 'k', version)
  now += 9 * 60_000
  assert.equal(store.open(vaultWith(), 'k', version), first)
  now += 9 * 60_000
  store.forgetIdle()
  assert.equal(store.open(vaultWith(), 'k', version), first)
  now += 10 * 60_000
  const second = store.open(vaultWith(), 'k', version)
  assert.notEqual(second, first)
  now += 10 * 60_000
  store.forgetIdle()
  assert.notEqual(store.open(vaultWith(), 'k', version), second)
})

test('R21: a key that another process deletes or purges is not kept decoded here', async () => {
  const shared = new SharedRecords(openMemoryRecords())
  const other = shared.open()
  const store = openMaterialStore(shared.open(), hsmKey, openSoftwareModule(systemEnv))
  await other.commit([store.seal(vaultWith(), 'k', version.version, randomBytes(32))])
  const following = store.followOthers()
  const deleted = { name: 'k', current: version.version, deleted: { at: 1, purgeAt: 2 } } as Key
  const [key, material] = [keyId(vaultWith(), 'k'), versionId(vaultWith(), 'k', version.version)]
  for (const change of [put(keys, key, deleted), remove(keyMaterial, material)]) {
    const decoded = store.open(vaultWith(), 'k', version)
    assert.equal(store.open(vaultWith(), 'k', version), decoded)
    await other.commit([change])
    const again = store.open(vaultWith(), 'k', version)
    assert.notEqual(again, decoded)
    await again.catch(() => undefined)
  }
  following.close()
})
