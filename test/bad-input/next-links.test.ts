import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Azure } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { administratorOf, newTenant } from '../arm/arm.fixture.ts'

const cloud = await cloudFor({ after })
const { endpoints } = cloud
const azure = await Azure.in(endpoints)
const { resourceManager, authority, subscriptionId, keyVaultSuffix } = endpoints
const S = `${resourceManager}/subscriptions/${subscriptionId}`
const COGNITIVE = 'providers/Microsoft.CognitiveServices'
const VAULTS = 'providers/Microsoft.KeyVault'
const VAULT = `https://kv-pages${keyVaultSuffix}`
const OPENAI = `https://pages-0${endpoints.openAiSuffix}/openai`
const ROWS = 5

interface List {
  readonly name: string
  /** Without the size of a page. */
  readonly url: string
  readonly size: '$top' | 'maxresults'
  readonly scope: string
  /** The key of this list's items. */
  readonly key: 'id' | 'kid' | 'name'
}

const ARM = { size: '$top', scope: resourceManager, key: 'id' } as const
const KEYS = { size: 'maxresults', scope: 'https://vault.azure.net', key: 'kid' } as const
const GRAPH = { size: '$top', scope: 'https://graph.microsoft.com', key: 'id' } as const
const LISTS: readonly List[] = [
  { ...ARM, name: 'groups', url: `${S}/resourcegroups?api-version=2025-04-01` },
  { ...ARM, name: 'resources', url: `${S}/resources?api-version=2025-04-01` },
  { ...ARM, name: 'resources of a group', url: `${S}/resourceGroups/tests/resources?api-version=2025-04-01` },
  { ...ARM, name: 'accounts', url: `${S}/${COGNITIVE}/accounts?api-version=2025-06-01` },
  {
    ...ARM,
    name: 'accounts of a group',
    url: `${S}/resourceGroups/tests/${COGNITIVE}/accounts?api-version=2025-06-01`,
  },
  { ...ARM, name: 'deleted accounts', url: `${S}/${COGNITIVE}/deletedAccounts?api-version=2025-06-01` },
  { ...ARM, name: 'vaults', url: `${S}/${VAULTS}/vaults?api-version=2023-07-01` },
  { ...ARM, name: 'vaults of a group', url: `${S}/resourceGroups/tests/${VAULTS}/vaults?api-version=2023-07-01` },
  { ...ARM, name: 'deleted vaults', url: `${S}/${VAULTS}/deletedVaults?api-version=2023-07-01` },
  {
    ...ARM,
    name: 'role definitions',
    url: `${S}/providers/Microsoft.Authorization/roleDefinitions?api-version=2022-04-01`,
  },
  { ...KEYS, name: 'keys', url: `${VAULT}/keys?api-version=7.4` },
  { ...KEYS, name: 'versions of a key', url: `${VAULT}/keys/key-0/versions?api-version=7.4` },
  { ...KEYS, name: 'deleted keys', url: `${VAULT}/deletedkeys?api-version=7.4` },
  { ...GRAPH, name: 'applications', url: `${authority}/v1.0/applications?` },
  { ...GRAPH, name: 'service principals', url: `${authority}/v1.0/servicePrincipals?` },
  { ...GRAPH, name: 'users', url: `${authority}/v1.0/users?` },
]

async function get(url: string, scope: string): Promise<{ status: number; body: Record<string, unknown> }> {
  const token = await azure.credential.getToken(`${scope}/.default`)
  const response = await fetch(url, { headers: { authorization: `Bearer ${token?.token ?? ''}` } })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

const nextOf = (body: Record<string, unknown>): string | undefined =>
  (body['nextLink'] ?? body['@odata.nextLink'] ?? undefined) as string | undefined

/** All pages of a list, each with `size` items at most. */
async function walk({ url, size, scope, key }: List, most: number): Promise<string[]> {
  const found: string[] = []
  const links = new Set<string>()
  let next: string | undefined = `${url}&${size}=${most}`
  while (next !== undefined) {
    assert.ok(!links.has(next), `the pages go round: ${next}`)
    links.add(next)
    const { status, body } = await get(next, scope)
    assert.equal(status, 200, JSON.stringify(body))
    const items = body['value'] as Record<string, string>[]
    assert.ok(items.length <= most)
    found.push(...items.map(item => item[key] ?? ''))
    next = nextOf(body)
    assert.ok(next === undefined || new URL(next).origin === new URL(url).origin)
  }
  return found
}

before(async () => {
  const numbers = Array.from({ length: ROWS }, (_, n) => n)
  const graph = await azure.credential.getToken('https://graph.microsoft.com/.default')
  const post = (path: string, body: object) =>
    fetch(`${authority}/v1.0${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${graph?.token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  const domain = endpoints.administrator.userName.split('@')[1]
  const keys = await azure.vault('kv-pages', { enablePurgeProtection: undefined })
  for (const n of numbers) {
    await azure.arm('PUT', `/resourceGroups/group-${n}`, { location: endpoints.location }, '2025-04-01')
    await azure.account(`pages-${n}`)
    await azure.account(`gone-${n}`)
    await azure.arm('DELETE', azure.accountPath(`gone-${n}`))
    await azure.vault(`kv-pages-${n}`)
    await azure.vault(`kv-gone-${n}`)
    await azure.arm('DELETE', azure.vaultPath(`kv-gone-${n}`), undefined, '2023-07-01')
    await keys.createEcKey(`key-${n}`)
    await keys.createEcKey('key-0')
    await keys.createEcKey(`gone-${n}`)
    await (await keys.beginDeleteKey(`gone-${n}`, { intervalInMs: 20 })).pollUntilDone()
    const { appId } = (await (await post('/applications', { displayName: `app ${n}` })).json()) as { appId: string }
    await post('/servicePrincipals', { appId })
    const passwordProfile = { password: 'a-good-Passphrase' }
    const user = { displayName: `user ${n}`, userPrincipalName: `user-${n}@${domain}`, passwordProfile }
    assert.equal((await post('/users', user)).status, 201)
  }
})

for (const list of LISTS) {
  test(`the pages of ${list.name} end, and show each item once, whatever their size`, async () => {
    const whole = await walk(list, 25)
    assert.ok(whole.length >= ROWS, `there are ${whole.length}`)
    assert.equal(new Set(whole).size, whole.length)
    for (const size of [1, 2]) assert.deepEqual((await walk(list, size)).toSorted(), whole.toSorted())
  })

  test(`a next link of ${list.name} that was made up is refused`, async () => {
    for (const token of ['%00', '..%2F..', "'%20or%201=1", 'A'.repeat(5000), '\u{1F511}']) {
      const { status } = await get(`${list.url}&$skiptoken=${encodeURIComponent(token)}`, list.scope)
      assert.ok(status === 400 || status === 404 || status === 414, `${token.slice(0, 20)}: ${status}`)
    }
  })
}

test('a list of files that is to begin after something that is not a file is refused', async () => {
  const { body } = await azure.arm('POST', `${azure.accountPath('pages-0')}/listKeys`)
  const headers = { 'api-key': body.key1 as string }
  for (const after of ['file-none', '..', '\0']) {
    const url = `${OPENAI}/files?api-version=2024-10-21&after=${encodeURIComponent(after)}`
    const { status } = await fetch(url, { headers })
    assert.ok(status === 400 || status === 404, `${JSON.stringify(after)}: ${status}`)
  }
})

test('a next link is good only for callers that may list', async () => {
  const { body } = await get(`${S}/resourcegroups?api-version=2025-04-01&$top=1`, resourceManager)
  const next = nextOf(body) ?? ''
  assert.equal((await fetch(next)).status, 401)
  const stranger = await newTenant(await administratorOf(endpoints), 'strangers')
  const { status } = await stranger.arm('GET', next.slice(resourceManager.length))
  assert.ok(status === 401 || status === 403 || status === 404, String(status))
})
