import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { cloudFor } from '../support/cloud.ts'
import { Graph, ownToken, tokenRequest } from '../support/graph.ts'

const cloud = await cloudFor({ after })
const { endpoints } = cloud
const { administrator, resourceManager, tenantId } = endpoints
const graph = await Graph.asAdministrator(endpoints)
const domain = administrator.userName.split('@')[1]
type List = { value: Record<string, unknown>[]; '@odata.nextLink'?: string }
const list = (path: string) => graph.get<List>('GET', path)
const filtered = async (path: string, filter: string) =>
  (await list(`${path}?$filter=${encodeURIComponent(filter)}`)).value.map(({ displayName }) => displayName)
const codeOf = ({ body }: { body: unknown }) => (body as { error?: { code?: string } }).error?.code

test('people are made, found, changed and deleted', async () => {
  const body = (name: string) => ({
    accountEnabled: true,
    displayName: name,
    mailNickname: name,
    userPrincipalName: `${name}@${domain}`,
    passwordProfile: { password: 'a-good-Passphrase', forceChangePasswordNextSignIn: false },
    givenName: name,
  })
  const bob = await graph.get<Record<string, string>>('POST', '/users', body('Bob'))
  await graph.get('POST', '/users', body('Bobby'))
  assert.equal(codeOf(await graph.ask('POST', '/users', body('BOB'))), 'Request_MultipleObjectsWithSameKeyValue')
  assert.equal((await graph.get('GET', `/users/BOB@${domain}`))['id'], bob['id'])
  assert.deepEqual(await filtered('/users', "startswith(displayName,'bob')"), await sorted('Bob', 'Bobby'))
  assert.deepEqual(await filtered('/users', `userPrincipalName eq 'bobby@${domain}'`), ['Bobby'])
  const search = await list(
    `/users?$search=${encodeURIComponent('"displayName:obb" OR "userPrincipalName:obb"')}&$select=displayName`,
  )
  assert.deepEqual(search.value, [{ displayName: 'Bobby' }])
  await graph.get('PATCH', `/users/${bob['id']}`, {
    displayName: 'Robert',
    jobTitle: 'Baker',
    givenName: null,
    userPrincipalName: `Robert@${domain}`,
  })
  const robert = await graph.get('GET', `/users/robert@${domain}`)
  assert.deepEqual([robert['displayName'], robert['jobTitle'], robert['givenName']], ['Robert', 'Baker', null])
  assert.equal((await graph.ask('GET', `/users/bob@${domain}`)).status, 404)
  await graph.get('DELETE', `/users/${bob['id']}`)
  assert.equal((await graph.ask('GET', `/users/${bob['id']}`)).status, 404)
  const admin = await graph.get('GET', `/users/${administrator.userName}`)
  for (const [method, change] of [
    ['DELETE', undefined],
    ['PATCH', { accountEnabled: false }],
  ] as const)
    assert.equal((await graph.ask(method, `/users/${String(admin['id'])}`, change)).status, 400)
  const text = JSON.stringify(await list('/users'))
  assert.ok(!/"(hash|salt|password)"/.test(text))

  async function sorted(...names: string[]): Promise<unknown[]> {
    const { value } = await list('/users')
    return value.map(({ displayName }) => displayName).filter(name => names.includes(String(name)))
  }
})

test('bad people are refused by field', async () => {
  const good = {
    displayName: 'X',
    userPrincipalName: `x@${domain}`,
    passwordProfile: { password: 'a-good-Passphrase' },
  }
  for (const change of [
    { displayName: '' },
    { userPrincipalName: 'x@elsewhere.example' },
    { userPrincipalName: 'x' },
    { userPrincipalName: `x y@${domain}` },
    { userPrincipalName: `x@y@${domain}` },
    { passwordProfile: { password: 'short' } },
    { passwordProfile: { password: 'aaaaaaaaaaaa' } },
    { userPrincipalName: `longname@${domain}`, passwordProfile: { password: 'my-longname-1' } },
    { passwordProfile: undefined },
  ])
    assert.equal((await graph.ask('POST', '/users', { ...good, ...change })).status, 400, JSON.stringify(change))
})

test('lists come in pages, each object once', async () => {
  for (let n = 0; n < 5; n++) await graph.get('POST', '/applications', { displayName: `page ${n}` })
  const found: unknown[] = []
  let path: string | undefined = `/applications?$top=2&$filter=${encodeURIComponent("startswith(displayName,'page')")}`
  while (path !== undefined) {
    const page: List = await list(path)
    assert.ok(page.value.length <= 2)
    found.push(...page.value.map(({ displayName }) => displayName))
    const next: string | undefined = page['@odata.nextLink']
    path = next?.slice(next.indexOf('/v1.0') + '/v1.0'.length)
  }
  assert.deepEqual(found.toSorted(), ['page 0', 'page 1', 'page 2', 'page 3', 'page 4'])
  for (const bad of ['$top=0', '$top=x', '$skiptoken=x', "$filter=nothing eq 'x'"])
    assert.equal((await graph.ask('GET', `/applications?${bad}`)).status, 400, bad)
})

test('an application, its service principal and its secrets come and go together', async () => {
  const { id, appId, principalId } = await graph.application({ displayName: 'both', identifierUris: ['api://both'] })
  assert.equal(
    codeOf(await graph.ask('POST', '/servicePrincipals', { appId })),
    'Request_MultipleObjectsWithSameKeyValue',
  )
  assert.equal(
    codeOf(await graph.ask('POST', '/applications', { displayName: 'x', identifierUris: ['api://both'] })),
    'Request_MultipleObjectsWithSameKeyValue',
  )
  const { secretText = '' } = await graph.get<Record<string, string>>(
    'POST',
    `/servicePrincipals/${principalId}/addPassword`,
    {},
  )
  const client = { clientId: appId, clientSecret: secretText }
  const token = await ownToken(endpoints, client, 'https://graph.microsoft.com/.default')
  const own = new Graph(endpoints, token)
  assert.equal((await own.ask('GET', '/applications')).status, 200)
  for (const [method, path] of [
    ['POST', '/users'],
    ['POST', '/applications'],
    ['DELETE', `/applications/${id}`],
    ['POST', `/applications/${id}/addPassword`],
  ] as const)
    assert.equal(codeOf(await own.ask(method, path, {})), 'Authorization_RequestDenied', `${method} ${path}`)
  assert.deepEqual(await filtered('/servicePrincipals', `servicePrincipalNames/any(c:c eq '${appId}')`), ['both'])
  assert.deepEqual(await filtered('/applications', "identifierUris/any(u:u eq 'api://both')"), ['both'])
  const byIds = await graph.get<List>('POST', '/directoryObjects/getByIds', {
    ids: [principalId, id],
    types: ['servicePrincipal'],
  })
  assert.deepEqual(
    byIds.value.map(found => [found['@odata.type'], found['id']]),
    [['#microsoft.graph.servicePrincipal', principalId]],
  )
  await graph.get('PATCH', `/servicePrincipals/${principalId}`, { accountEnabled: false })
  assert.equal((await own.ask('GET', '/applications')).status, 401)
  await graph.get('DELETE', `/applications/${id}`)
  assert.equal((await graph.ask('GET', `/servicePrincipals/${principalId}`)).status, 404)
  const form = {
    grant_type: 'client_credentials',
    client_id: appId,
    client_secret: secretText,
    scope: 'https://vault.azure.net/.default',
  }
  assert.deepEqual((await tokenRequest(endpoints, form)).body['error_codes'], [700016])
  await graph.get('POST', '/applications', { displayName: 'again', identifierUris: ['api://both'] })
})

test('tenants are apart: nobody sees, changes or logs in to another`s', async () => {
  const token = await ownToken(endpoints, administrator, 'https://management.azure.com/.default')
  const made = await fetch(`${resourceManager}/providers/OwnKey.Directory/tenants?api-version=2022-12-01`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ properties: { displayName: 'Fabrikam Ltd' } }),
  })
  const { properties } = (await made.json()) as {
    properties: { tenantId: string; administrator: { clientId: string; clientSecret: string } }
  }
  assert.equal(made.status, 201)
  const scope = 'https://graph.microsoft.com/.default'
  const other = new Graph(endpoints, await ownToken(endpoints, properties.administrator, scope, properties.tenantId))
  const organization = await other.get<List>('GET', '/organization')
  assert.deepEqual(organization.value[0]?.['verifiedDomains'], [
    { name: 'fabrikam-ltd.localhost', isDefault: true, isInitial: true, type: 'Managed', capabilities: '' },
  ])
  const user = {
    displayName: 'Eve',
    userPrincipalName: 'eve@fabrikam-ltd.localhost',
    passwordProfile: { password: 'a-good-Passphrase' },
  }
  const { id } = await other.get<{ id: string }>('POST', '/users', user)
  for (const path of [`/users/${id}`, '/users/eve@fabrikam-ltd.localhost', `/directoryObjects/${id}`])
    assert.equal((await graph.ask('GET', path)).status, 404, path)
  assert.equal((await graph.ask('DELETE', `/users/${id}`)).status, 404)
  assert.equal((await graph.ask('POST', '/users', user)).status, 400)
  assert.ok(!(await list('/users?$top=999')).value.some(found => found['id'] === id))
  const { clientId, clientSecret } = properties.administrator
  const form = { grant_type: 'client_credentials', client_id: clientId, client_secret: clientSecret, scope }
  assert.deepEqual((await tokenRequest(endpoints, form)).body['error_codes'], [700016])
  assert.equal(
    (await tokenRequest(endpoints, form, { tenant: 'fabrikam-ltd.localhost' })).status,
    200,
    'a tenant is found by its domain too',
  )
  assert.equal((await tokenRequest(endpoints, form, { tenant: 'common' })).status, 200)
  assert.notEqual(properties.tenantId, tenantId)
})
