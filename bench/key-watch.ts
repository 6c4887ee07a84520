import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startCloudProcess } from '../src/harness/cloud-process.ts'
import { Azure, KEY_PERMISSIONS, MANAGE, pause, type Reply } from '../test/support/azure.ts'
import { administratorObjectId } from '../src/harness/scene.ts'
import type { Figure } from './figure.ts'

const ACCOUNTS = 1000
/** A subscription takes no more accounts than 200. */
const SUBSCRIPTIONS = 5
const AT_ONCE = 16
/** get, wrapKey, unwrapKey. */
const CALLS = 3
/** `--key-watch-seconds` unless told otherwise. */
const WATCH_SECONDS = 60
const MEASURED_SECONDS = 8

/** The load on vaults of the watch over 1,000 unused customer-managed keys. The vaults are embedded, so their own work is included. */
export async function figures(): Promise<Figure[]> {
  const dataDir = await mkdtemp(join(tmpdir(), 'ownkey-bench-'))
  let cloud = await startCloudProcess(dataDir, ['--key-watch-seconds', '3600'])
  try {
    await makeAccounts(await Azure.in(cloud.endpoints))
    const port = String(cloud.endpoints.port)
    await cloud.stop()
    // Round after round, a second apart: as fast as it goes.
    cloud = await startCloudProcess(dataDir, ['--port', port, '--key-watch-seconds', '1'])
    const azure = await Azure.in(cloud.endpoints)
    await pause(3000)
    const [before, start] = [await auditRecords(azure), performance.now()]
    await pause(MEASURED_SECONDS * 1000)
    const rate = ((await auditRecords(azure)) - before) / ((performance.now() - start) / 1000)
    const needed = (ACCOUNTS * CALLS) / WATCH_SECONDS
    const thousand = ACCOUNTS.toLocaleString('en')
    return [
      {
        name: `vault calls of the watch over ${thousand} keys, at most`,
        value: rate,
        unit: '/s',
        ratio: rate / needed,
        against: `${needed.toFixed(0)} /s, each key once in ${WATCH_SECONDS} s`,
      },
      {
        name: `a round of the watch over ${thousand} keys`,
        value: (ACCOUNTS * CALLS) / rate,
        unit: 's',
        ratio: WATCH_SECONDS / ((ACCOUNTS * CALLS) / rate),
        against: `${WATCH_SECONDS} s between two rounds`,
      },
    ]
  } finally {
    await cloud.stop()
    await rm(dataDir, { recursive: true })
  }
}

/** Each call to a vault makes one record, and nothing else happens meanwhile. */
async function auditRecords(azure: Azure): Promise<number> {
  const { body } = await azure.armRoot('GET', '/ownkey/audit/verify')
  return body.entries
}

async function makeAccounts(azure: Azure): Promise<void> {
  const { tenantId, location, subscriptionId } = azure.endpoints
  const keys = await azure.vault('kv-watch')
  const { version } = (await keys.createRsaKey('cmk', { keySize: 2048 })).properties
  const subscriptions = [subscriptionId]
  while (subscriptions.length < SUBSCRIPTIONS) {
    const alias = `/providers/Microsoft.Subscription/aliases/bench-${subscriptions.length}?api-version=2021-10-01`
    subscriptions.push((await ok(azure.armRoot('PUT', alias, { properties: {} }))).properties.subscriptionId)
  }
  const at = (one: string): string => `/subscriptions/${one}/resourceGroups/tests`
  for (const one of subscriptions) await ok(azure.armRoot('PUT', `${at(one)}?api-version=2025-04-01`, { location }))
  const paths = Array.from(
    { length: ACCOUNTS },
    (_, n) =>
      `${at(subscriptions[n % SUBSCRIPTIONS] ?? '')}/providers/Microsoft.CognitiveServices/accounts/watched-${n}?api-version=2025-06-01`,
  )
  const account = {
    location,
    kind: 'OpenAI',
    sku: { name: 'S0' },
    identity: { type: 'SystemAssigned' },
    properties: {},
  }
  const principals = await inLanes(
    paths,
    async path => (await ok(azure.armRoot('PUT', path, account))).identity.principalId,
  )
  const granted = [
    { objectId: await administratorObjectId(azure.endpoints), keys: MANAGE },
    ...principals.map(objectId => ({ objectId, keys: KEY_PERMISSIONS })),
  ]
  const accessPolicies = granted.map(({ objectId, keys: own }) => ({ tenantId, objectId, permissions: { keys: own } }))
  await ok(azure.patchVault('kv-watch', { accessPolicies }))
  const key = { keyVaultUri: azure.vaultUri('kv-watch'), keyName: 'cmk', keyVersion: version }
  const encryption = { keySource: 'Microsoft.KeyVault', keyVaultProperties: key }
  await inLanes(paths, async path => ok(azure.armRoot('PATCH', path, { properties: { encryption } })))
}

async function ok(reply: Promise<Reply>): Promise<Reply['body']> {
  const { status, body } = await reply
  assert.ok(status < 300, JSON.stringify(body))
  return body
}

async function inLanes<T>(items: readonly string[], work: (item: string) => Promise<T>): Promise<T[]> {
  const results: T[] = []
  const lane = async (from: number): Promise<void> => {
    for (let index = from; index < items.length; index += AT_ONCE) results[index] = await work(items[index] ?? '')
  }
  await Promise.all(Array.from({ length: AT_ONCE }, (_, from) => lane(from)))
  return results
}
