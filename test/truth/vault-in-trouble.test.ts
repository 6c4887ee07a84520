import assert from 'node:assert/strict'
import { createSecretKey, randomBytes, randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { request } from 'node:https'
import { after, beforeEach, test } from 'node:test'
import { changeKey } from '../../src/encryption/change-key.ts'
import { KeyRing } from '../../src/encryption/key-ring.ts'
import { KeyUnavailable } from '../../src/encryption/key-unavailable.ts'
import { VaultWaits } from '../../src/encryption/vault-waits.ts'
import { serviceConnection } from '../../src/http/service-connection.ts'
import { openMemoryRecords } from '../../src/store/memory-records.ts'
import { ACCOUNT, ADMIN, policy, startCloud } from '../keyvault/cloud.fixture.ts'
import { answer, LASTING, type Trouble } from '../support/troubles.ts'

const LEASE_MS = 400
const TIMEOUT_MS = 1200

const cloud = await startCloud()
await cloud.vault('kv-troubled', {
  accessPolicies: [policy(ADMIN, 'all'), policy(ACCOUNT, 'get', 'wrapKey', 'unwrapKey')],
})
const { id: keyId = '' } = await cloud.keys('kv-troubled').createRsaKey('cmk', { keySize: 2048 })

let trouble: Trouble = () => 'pass'
let asked = 0
const line = serviceConnection((incoming, outgoing) => {
  asked += 1
  if (trouble(incoming, outgoing) === 'pass') forward(incoming, outgoing)
})

function forward(incoming: IncomingMessage, outgoing: ServerResponse): void {
  const { method, headers, url: path } = incoming
  const { serviceAgent: agent } = cloud.server.listener
  const onward = request({ agent, host: headers.host, method, headers, path }, reply => {
    outgoing.writeHead(reply.statusCode ?? 500, reply.headers)
    reply.pipe(outgoing)
  })
  incoming.pipe(onward)
}

const secret = () => createSecretKey(randomBytes(32))
const records = openMemoryRecords()
const account = randomUUID()
const ring = new KeyRing({
  records,
  rootKeys: {
    service: secret(),
    mac: secret(),
    deployment: secret(),
    hsm: secret(),
    records: secret(),
    identity: secret(),
    bases: secret(),
  },
  leaseMs: LEASE_MS,
  vaults: { agentFor: () => line.agent, timeoutMs: TIMEOUT_MS, waits: new VaultWaits() },
  credentialOf: () => cloud.credential(ACCOUNT),
  settingsOf: async () => undefined,
})
await records.commit(await ring.create(account))
await changeKey(ring, account, ring.vaultKey(account, keyId), changes => records.commit(changes))

after(async () => {
  line.close()
  await cloud.close()
})

beforeEach(() => {
  trouble = () => 'pass'
  ring.leases.end(account)
})

const reasonOf = (name: string): string =>
  name.startsWith('429') ? 'Throttled' : /^5\d\d/.test(name) ? 'VaultFailed' : 'Unreachable'

for (const [name, kind] of Object.entries(LASTING).filter(([each]) => each !== '429 with Retry-After: 10')) {
  test(`${name}: the running lease is used to its end, and then nothing opens until the vault is back`, async () => {
    const keys = await ring.leases.keys(account)
    const leased = performance.now()
    trouble = kind
    assert.equal(await ring.leases.keys(account), keys, 'the lease still runs')
    await new Promise(resolve => setTimeout(resolve, LEASE_MS - (performance.now() - leased) + 10))
    const started = performance.now()
    await assert.rejects(ring.leases.keys(account), (error: unknown) => {
      assert.ok(error instanceof KeyUnavailable)
      // 403, since clients would repeat after 429 and 5xx.
      assert.deepEqual([error.status, error.reason], [403, reasonOf(name)])
      return true
    })
    assert.ok(performance.now() - started < TIMEOUT_MS + 500, 'nobody waits longer than the limit')
    trouble = () => 'pass'
    assert.equal((await ring.leases.keys(account)).current, 2)
  })
}

test('a vault that says how long it wants to be left alone is not asked sooner', async () => {
  trouble = answer(429, { 'retry-after': '2' })
  const before = asked
  const first = performance.now()
  const refusal = { name: 'KeyUnavailable', reason: 'Throttled', status: 403 }
  await assert.rejects(ring.leases.keys(account), refusal)
  // Longer than an operation may take, so nobody waits for it.
  assert.ok(performance.now() - first < TIMEOUT_MS)
  const questions = asked
  // One request each to read, to wrap, and to unwrap each of two generations.
  assert.ok(questions - before <= 4, `${questions - before} requests`)
  trouble = () => 'pass'
  for (let n = 0; n < 5; n++)
    await assert.rejects(ring.leases.keys(account), (error: unknown) => {
      assert.ok(error instanceof KeyUnavailable)
      assert.match(error.options.innererror?.innererror?.message ?? '', /left alone for another [12] s/)
      return true
    })
  assert.equal(asked, questions)
  await new Promise(resolve => setTimeout(resolve, 2100 - (performance.now() - first)))
  assert.equal((await ring.leases.keys(account)).current, 2)
})

test('after a single 429 with a time the service waits, without an effect for clients', async () => {
  let isFirst = true
  trouble = (incoming, outgoing) => {
    if (!isFirst) return 'pass'
    isFirst = false
    return answer(429, { 'retry-after': '1' })(incoming, outgoing)
  }
  const began = performance.now()
  assert.equal((await ring.leases.keys(account)).current, 2)
  assert.ok(performance.now() - began >= 990)
})

for (const status of [429, 503]) {
  test(`a single ${status} is tried again, without an effect for clients`, async () => {
    const seen = new Set<string>()
    trouble = (incoming, outgoing) => {
      const path = incoming.url ?? ''
      if (seen.has(path)) return 'pass'
      seen.add(path)
      return answer(status)(incoming, outgoing)
    }
    assert.equal((await ring.leases.keys(account)).current, 2)
    assert.ok(seen.size >= 3, 'read, wrap and unwrap each met it')
  })
}

test('a vault slower than the lease still serves, and each use asks again', async () => {
  trouble = (incoming, outgoing) => {
    setTimeout(() => forward(incoming, outgoing), LEASE_MS + 100)
    return 'handled'
  }
  const before = asked
  await ring.leases.keys(account)
  const first = asked
  await ring.leases.keys(account)
  assert.ok(first > before && asked > first)
})

test('many uses at once ask a silent vault once, not once each', async () => {
  trouble = LASTING['no answer at all']
  const before = asked
  const uses = Array.from({ length: 100 }, () => ring.leases.keys(account))
  const settled = await Promise.allSettled(uses)
  assert.ok(settled.every(({ status }) => status === 'rejected'))
  assert.ok(asked - before <= 9, `${asked - before} requests`)
})

test('a key can not be changed or disabled while its vault is silent', async () => {
  const kekId = await ring.currentKekId(account)
  trouble = LASTING['503']
  const commit = (): Promise<void> => assert.fail('nothing may be committed')
  await assert.rejects(changeKey(ring, account, ring.newServiceKey(account), commit), KeyUnavailable)
  assert.equal(await ring.currentKekId(account), kekId)
})
