import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { systemEnv } from '../base/env.ts'
import type { Call } from '../http/route.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import { put, remove, type Change } from '../store/records.ts'
import { createKeyRoutes } from './create-key.ts'
import { keyMaterial, keys, keyVersions } from './key-record.ts'
import type { KeyVaultServices } from './services.ts'
import { OBJECT, policyFor, principal, vaultWith } from './vault.fixture.ts'
import { vaults } from './vault-record.ts'

const vault = vaultWith({ accessPolicies: [policyFor(OBJECT, ['create'])] })

/** Creates a key, while this happens before it is generated. */
async function createdWhile(meanwhile: Change) {
  const records = openMemoryRecords()
  await records.commit([put(vaults, vault.name, vault)])
  let times = 0
  const services = {
    records,
    env: systemEnv,
    audit: { append: (_: unknown, changes: readonly Change[] = []) => records.commit(changes) },
    inTurn: (_: string, run: () => Promise<unknown>) => run(),
    materials: { seal: (_: unknown, name: string) => put(keyMaterial, name, { sealed: '' }, 0) },
    module: {
      generate: async () => {
        if ((times += 1) === 1) await records.commit([meanwhile])
        return { size: 256, publicPart: {}, material: randomBytes(1) }
      },
    },
  } as unknown as KeyVaultServices
  const [create] = createKeyRoutes(services)
  const call = {
    caller: principal(),
    label: vault.name,
    origin: 'https://kv',
    params: { name: 'k' },
    query: new Map([['api-version', '7.4']]),
    headers: new Headers(),
    url: new URL('https://kv/keys/k/create'),
    method: 'POST',
    peer: '127.0.0.1',
    via: 'network',
    requestId: 'r',
    json: async () => ({ kty: 'EC' }),
  } as unknown as Call
  const answer = (async () => create?.handler(call))()
  await answer.catch(() => undefined)
  const left = await Promise.all([keys, keyVersions, keyMaterial].map(one => records.count(one)))
  return { answer, left }
}

test('a key that is made while its vault is purged is not kept without a vault', async () => {
  const { answer, left } = await createdWhile(remove(vaults, vault.name))
  await assert.rejects(answer, { status: 404 })
  assert.deepEqual(left, [0, 0, 0])
})

test('R19: a key that is made while its policy is taken away is not made', async () => {
  const { answer, left } = await createdWhile(put(vaults, vault.name, vaultWith({ accessPolicies: [] })))
  await assert.rejects(answer, { status: 403 })
  assert.deepEqual(left, [0, 0, 0])
})

test('a key that is made while its vault gets a tag is made', async () => {
  const { answer, left } = await createdWhile(put(vaults, vault.name, { ...vault, tags: { a: 'b' } }))
  assert.equal((await answer)?.status, 200)
  assert.deepEqual(left, [1, 1, 1])
})
