import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { HostName, Route } from '../../src/http/route.ts'
import { administratorOf, assign, newPrincipal, newTenant, ROLES, type Client } from '../arm/arm.fixture.ts'
import { templateOf } from '../bad-input/templates.ts'
import { Azure } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { everyRoute } from '../support/routes.ts'

/** Every authenticated route of the cloud with somebody else's ids: R27 by exhaustion, and not by a list that may lack a route. */
const cloud = await cloudFor({ after })
const { endpoints } = cloud
const azure = await Azure.in(endpoints)
const sub = `/subscriptions/${endpoints.subscriptionId}`

const theirs = await azure.account('theirs')
const ours = await newOurs()
const kept = await theirs.upload('not for others', 'secret-merger.jsonl')
const job = await theirs.jobIs(await theirs.train(kept), ['succeeded'])
const model = job.fine_tuned_model ?? ''
assert.equal((await theirs.deploy('private', model)).status, 201)
const keys = await azure.vault('kv-theirs')
const { version = '' } = (await keys.createRsaKey('cmk', { keySize: 2048 })).properties
const account = (await azure.arm('GET', azure.accountPath('theirs'))).body
const admin = await administratorOf(endpoints)
const ALIAS = '/providers/Microsoft.Subscription/aliases/theirs'
await admin.arm('PUT', ALIAS, { properties: { subscriptionId: endpoints.subscriptionId } })
const assignment = (await assign(admin, `${sub}${azure.accountPath('theirs')}`, admin.objectId, ROLES.reader)).body.name

/** Texts that an answer to a stranger must not hold, refused or not. Their requests don't contain them. */
const SECRETS = [
  String(theirs.openai.apiKey),
  'secret-merger',
  'not for others',
  account.properties.internalId,
  theirs.principalId,
]
/** Texts that lists for strangers must not show. */
const NAMES = ['theirs', 'kv-theirs', kept, job.id, model]

const names = {
  tenantId: endpoints.tenantId,
  location: endpoints.location,
  clientId: 'x',
  clientSecret: 'x',
  file: kept,
  vaultUri: azure.vaultUri('kv-theirs'),
  scope: 'https://vault.azure.net/.default',
}
const PARAMS: Readonly<Record<string, string>> = {
  tenant: endpoints.tenantId,
  subscription: endpoints.subscriptionId,
  subscriptionid: endpoints.subscriptionId,
  group: azure.group,
  account: 'theirs',
  vault: 'kv-theirs',
  deployment: 'private',
  name: 'cmk',
  version,
  file: kept,
  job: job.id,
  model,
  location: endpoints.location,
  update: 'add',
  setting: 'audit',
  alias: 'theirs',
  namespace: 'Microsoft.KeyVault',
  assignment,
  role: ROLES.reader,
  operation: '00000000-0000-4000-8000-000000000002',
  principal: theirs.principalId,
  tag: 'theirs',
}
const SCOPES = ['', `/resourceGroups/${azure.group}`, azure.accountPath('theirs'), azure.vaultPath('kv-theirs')].map(
  below => `${sub}${below}`,
)
const HOSTS: Partial<Record<HostName, string>> = {
  management: new URL(endpoints.resourceManager).host,
  vault: `kv-theirs${endpoints.keyVaultSuffix}`,
  openai: `theirs${endpoints.openAiSuffix}`,
}
const VERSIONS: Partial<Record<HostName, string>> = { management: '2022-09-01', vault: '7.4', openai: '2024-10-21' }
const AUDIENCES: Partial<Record<HostName, string>> = {
  management: endpoints.resourceManager,
  vault: 'https://vault.azure.net',
  openai: 'https://cognitiveservices.azure.com',
}

const routes = (await everyRoute()).filter(({ auth }) => auth !== 'none')

/** An account of ours in a group of ours, beside theirs in the same subscription. */
async function newOurs() {
  const made = new Azure(endpoints)
  Object.assign(made, { group: 'ours-group' })
  const { location } = endpoints
  await made.arm('PUT', '/resourceGroups/ours-group', { location }, '2025-04-01')
  await made.vault('kv-ours')
  return made.account('ours')
}

const strangers: Readonly<Record<string, () => Promise<Client>>> = {
  'the owner of a group beside theirs': async () => {
    const neighbour = await newPrincipal(admin, admin, 'neighbour')
    const group = `${sub}/resourceGroups/ours-group`
    for (const role of [ROLES.owner, ROLES.openAiContributor])
      assert.equal((await assign(admin, group, neighbour.objectId, role)).status, 201)
    await azure.arm(
      'PUT',
      '/resourceGroups/ours-group/providers/Microsoft.KeyVault/vaults/kv-ours/accessPolicies/add',
      {
        properties: {
          accessPolicies: [
            { tenantId: endpoints.tenantId, objectId: neighbour.objectId, permissions: { keys: ['all'] } },
          ],
        },
      },
      '2023-07-01',
    )
    return neighbour
  },
  'the owner of another subscription of the tenant': async () => {
    const alias = await admin.arm('PUT', '/providers/Microsoft.Subscription/aliases/second', { properties: {} })
    const owner = await newPrincipal(admin, admin, 'owner elsewhere')
    const other = `/subscriptions/${alias.body.properties.subscriptionId}`
    assert.equal((await assign(admin, other, owner.objectId, ROLES.owner)).status, 201)
    return owner
  },
  'the administrator of another tenant': () => newTenant(admin, 'Fabrikam'),
}

for (const [who, make] of Object.entries(strangers)) {
  test(`R27: ${who} gets nothing of theirs through any route, and changes nothing`, async t => {
    const stranger = await make()
    let asked = 0
    for (const route of routes)
      for (const path of pathsOf(route)) {
        // At the root each tenant is by itself, so there the names are the caller's own.
        if (who.endsWith('another tenant') && isOfTenant(path)) continue
        const token = await stranger.token(AUDIENCES[route.host])
        await refused(route, path, { authorization: `Bearer ${token}` })
        asked += 1
      }
    t.diagnostic(`${asked} requests over ${routes.length} routes`)
    await unharmed()
  })
}

test('R27: the API key of another account gets nothing through any route of theirs, nor through its own with their ids', async () => {
  const headers = { 'api-key': String(ours.openai.apiKey) }
  for (const route of routes.filter(({ host }) => host === 'openai'))
    for (const path of pathsOf(route)) {
      const status = await refused(route, path, headers)
      assert.equal(status, 401, `${route.method} ${path}`)
      if (/:(file|job|model|deployment|account)/.test(route.path))
        await refused(route, path, headers, `ours${endpoints.openAiSuffix}`)
    }
  await unharmed()
})

test('the same requests succeed for the right caller, so the matrix is not empty', async () => {
  let reached = 0
  for (const route of routes.filter(({ method, auth }) => method === 'GET' && auth !== 'administrator'))
    for (const path of pathsOf(route)) {
      const token = await admin.token(AUDIENCES[route.host])
      const headers =
        route.host === 'openai' ? { 'api-key': String(theirs.openai.apiKey) } : { authorization: `Bearer ${token}` }
      const response = await fetch(urlOf(route, path), { headers })
      await response.arrayBuffer()
      if (response.ok) reached += 1
    }
  assert.ok(reached >= 60, `only ${reached}`)
})

function isOfTenant(path: string): boolean {
  return /^\/providers\/microsoft\.(authorization\/roleassignments|subscription\/aliases)\//.test(path)
}

function pathsOf(route: Route): string[] {
  const fill = (scope: string): string =>
    route.path
      .split('/')
      .map(part => (part.endsWith('*') ? scope.slice(1) : part.startsWith(':') ? (PARAMS[part.slice(1)] ?? 'x') : part))
      .join('/')
  return route.path.includes('*') ? SCOPES.map(fill) : [fill('')]
}

function urlOf(route: Route, path: string, host = HOSTS[route.host] ?? ''): string {
  const version = VERSIONS[route.host]
  const query = version === undefined || path.startsWith('/openai/v1/') ? '' : `?api-version=${version}`
  return `https://${host}${path}${query}`
}

/** Sends it with a body that fits. Resolves to the status. */
async function refused(route: Route, path: string, headers: Record<string, string>, host?: string): Promise<number> {
  const { method } = route
  const hasBody = !['GET', 'HEAD', 'DELETE'].includes(method)
  const body = hasBody ? JSON.stringify(templateOf(method, route.path, names) ?? {}) : undefined
  const response = await fetch(urlOf(route, path, host), {
    method,
    headers: { ...headers, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body }),
  })
  const text = await response.text()
  const what = `${method} ${path}: ${response.status} ${text.slice(0, 300)}`
  assert.ok(response.status < 500, what)
  for (const secret of SECRETS) assert.ok(!text.includes(secret) || path.includes(secret), `${what} tells ${secret}`)
  if (!response.ok) return response.status
  assert.ok(method === 'GET' || method === 'HEAD', what)
  const shown = NAMES.filter(name => text.includes(name) && !path.includes(name))
  assert.deepEqual(shown, [], what)
  return response.status
}

/** Checks that the owner's things are there, and as they were. */
async function unharmed(): Promise<void> {
  assert.match((await theirs.download(kept)).toString(), /not for others/)
  assert.notEqual(await theirs.chat('private'), '')
  assert.equal((await keys.getKey('cmk')).properties.version, version)
  assert.equal((await admin.arm('GET', ALIAS)).status, 200)
  const held = await admin.arm('GET', `${account.id}/providers/Microsoft.Authorization/roleAssignments/${assignment}`)
  assert.equal(held.status, 200)
  const now = (await azure.arm('GET', azure.accountPath('theirs'))).body
  assert.deepEqual([now.etag, now.properties, now.identity], [account.etag, account.properties, account.identity])
}
