import assert from 'node:assert/strict'
import { createSecretKey, randomBytes, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { systemEnv } from '../base/env.ts'
import { openAuditLog, type AuditLog } from '../store/audit-log.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import { collection, put, remove, type RecordStore } from '../store/records.ts'
import { KeyRing, serviceKeys } from './key-ring.ts'
import { keyRows, wrapDataKey } from './key-ring-rows.ts'
import { keyStates, type NamedKey } from './key-state.ts'
import { makeKeyStates } from './make-key-states.ts'
import { VaultWaits } from './vault-waits.ts'

const account = '6f9619ff-8b86-4d01-b42d-00cf4fc964ff'
const kekId = 'https://v.vault.localhost/keys/k/0123456789abcdef0123456789abcdef'
const customers: NamedKey = { vaultUri: 'https://v.vault.localhost', name: 'k' }
const mark = collection<object>('encryption.key-states-made')
const key = (): KeyObject => createSecretKey(randomBytes(32))

interface Old {
  readonly records: RecordStore
  readonly audit: AuditLog
  readonly make: () => Promise<void>
  readonly ring: KeyRing
}

/** A data folder from before there were key states, with one account, and an audit log that has a record of it. */
async function oldFolder(wrappedBy: 'service' | 'customer', settings: NamedKey): Promise<Old> {
  const records = openMemoryRecords()
  const macKey = key()
  const rootKeys = {
    service: key(),
    mac: macKey,
    deployment: key(),
    hsm: key(),
    records: key(),
    identity: key(),
    bases: key(),
  }
  const settingsOf = async (): Promise<NamedKey> => settings
  const vaults = { agentFor: () => undefined, timeoutMs: 1, waits: new VaultWaits() }
  const credentialOf = () => ({ getToken: async () => null })
  const ring = new KeyRing({ records, rootKeys, leaseMs: 0, vaults, credentialOf, settingsOf })
  await records.commit([...(await ring.create(account)), remove(keyStates, account)])
  if (wrappedBy === 'customer') {
    const kek = {
      id: kekId,
      algorithm: 'RSA-OAEP-256' as const,
      wrap: async () => randomBytes(64),
      unwrap: async () => randomBytes(64),
    }
    const row = await wrapDataKey(kek, macKey, { accountId: account, generation: 1 }, randomBytes(32), 'active')
    const [active] = await records.list(keyRows, { limit: 1000 })
    await records.commit([put(keyRows, active?.id ?? '', row)])
  }
  const audit = await openAuditLog(records, systemEnv)
  await audit.append({ category: 'AuditEvent', operationName: 'accounts/write', resultType: 'Success' })
  return { records, audit, ring, make: () => makeKeyStates({ records, macKey, audit, settingsOf, log: () => {} }) }
}

test('K2: an account from before key states gets its own once', async () => {
  const { records, ring, make } = await oldFolder('service', 'service')
  await assert.rejects(ring.leases.keys(account), { code: 'KeyRingTampered' })
  await make()
  assert.equal((await ring.leases.keys(account)).current, 1)
  assert.equal((await records.get(keyStates, account))?.value.ownSince, 1)
  await records.commit([remove(keyStates, account)])
  await make()
  await assert.rejects(
    ring.leases.keys(account),
    { code: 'KeyRingTampered' },
    'a state that is missing later was removed',
  )
})

test('K1: for an older account under a customer’s key, everything counts as stored before its key state', async () => {
  const { records, make } = await oldFolder('customer', customers)
  await make()
  const state = (await records.get(keyStates, account))?.value
  assert.deepEqual([state?.kekId, state?.generation, state?.ownSince], [kekId, 1, 2])
  assert.equal(await records.get(serviceKeys, account), undefined)
})

test('K2: a row of the service’s key under an account with a vault gets no state', async () => {
  const { records, ring, make } = await oldFolder('service', customers)
  await make()
  assert.equal(await records.get(keyStates, account), undefined)
  await assert.rejects(ring.leases.keys(account), { code: 'KeyRingTampered' })
})

test('K2: whoever removes the mark, or the audit log, does not bring it about again', async () => {
  const marked = await oldFolder('service', 'service')
  await marked.make()
  await marked.records.commit([remove(mark, 'made'), remove(keyStates, account)])
  await assert.rejects(marked.make(), /the mark that every account has a key state was removed/)
  await marked.records.commit([put(mark, 'made', { mac: 'forged' })])
  await assert.rejects(marked.make(), /was not written by this service/)
  await marked.records.commit([remove(mark, 'made')])
  const entries = await marked.records.list(collection<object>('audit-entries'), { limit: 1000 })
  await marked.records.commit([remove(collection('audit-entries'), entries.at(-1)?.id ?? '')])
  await assert.rejects(marked.make(), /the audit log was changed/)
})
