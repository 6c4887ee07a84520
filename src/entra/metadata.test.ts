import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { startEntra, type TestEntra } from './entra.fixture.ts'
import { openRequestAudit } from '../audit/request-audit.ts'
import { openAuditLog } from '../store/audit-log.ts'
import { listenMetadata, type MetadataListener } from './metadata.ts'

describe('instance metadata', () => {
  let test: TestEntra
  let metadata: MetadataListener
  let principalId: string
  let secret: string
  before(async () => {
    test = await startEntra()
    const { tenantId } = test.entra.administrator
    const made = test.entra.identities.create({ resourceId: '/subscriptions/s/a', name: 'a', tenantId })
    await test.records.commit(made.changes)
    principalId = made.principalId
    secret = test.entra.identities.secret(principalId)
    const { env } = test.options
    metadata = await listenMetadata({
      port: 0,
      env,
      identities: test.entra.identities,
      domain: 'localhost',
      caPem: () => 'CA',
    })
  })
  after(async () => metadata.close())

  const get = async (path: string, headers: Record<string, string>) => {
    const response = await fetch(`http://127.0.0.1:${metadata.port}${path}`, { headers })
    return { status: response.status, body: (await response.json()) as Record<string, string> }
  }
  const vault = 'api-version=2019-08-01&resource=https%3A%2F%2Fvault.azure.net'

  it('gives a token to the caller who presents the identity`s secret, in the App Service form', async () => {
    const { status, body } = await get(`/msi/token?${vault}`, { 'x-identity-header': secret })
    assert.equal(status, 200)
    const caller = await test.entra.tokens.verify(body['access_token'] ?? '', { audiences: ['vault'] })
    assert.equal(caller.objectId, principalId)
    assert.ok(Number(body['expires_on']) > Date.now() / 1000)
    assert.equal(body['resource'], 'https://vault.azure.net')
    assert.equal((await get(`/MSI/token/?${vault.replace('2019-08-01', '2017-09-01')}`, { secret })).status, 200)
  })

  it('gives none to anybody else', async () => {
    const other = test.entra.identities.secret(test.options.env.uuid())
    for (const wrong of ['', 'x', other, secret.slice(0, -1), `${secret}x`]) {
      assert.equal((await get(`/msi/token?${vault}`, { 'x-identity-header': wrong })).status, 401)
    }
    const header = { 'x-identity-header': secret }
    assert.equal((await get(`/msi/token?${vault}`, { ...header, 'x-forwarded-for': '1.2.3.4' })).status, 400)
    assert.equal((await get(`/msi/token?${vault}&client_id=${test.options.env.uuid()}`, header)).status, 400)
    assert.equal(
      (await get(`/msi/token?${vault.replace('vault.azure.net', 'example.com')}`, header)).body['error'],
      'invalid_resource',
    )
  })

  it('needs a known api-version', async () => {
    for (const version of ['', 'api-version=&', 'api-version=1999-01-01&', 'api-version=latest&']) {
      const path = `/msi/token?${version}resource=https://vault.azure.net`
      const { status, body } = await get(path, { 'x-identity-header': secret })
      assert.equal(status, 400)
      assert.match(body['error_description'] ?? '', /api-version/)
    }
  })

  it('makes a record of each token that is given or refused · R05 R13', async () => {
    const log = await openAuditLog(test.options.records, test.options.env)
    const own = await listenMetadata({
      port: 0,
      env: test.options.env,
      identities: test.entra.identities,
      domain: 'localhost',
      caPem: () => 'pem',
      audited: routes => openRequestAudit(log, test.options.env).routes(routes),
    })
    for (const header of [secret, 'wrong']) {
      const headers = { 'x-identity-header': header }
      await (await fetch(`http://127.0.0.1:${own.port}/msi/token?${vault}`, { headers })).arrayBuffer()
    }
    await own.close()
    const records = (await log.list()).map(({ entry }) => entry)
    assert.deepEqual(
      records.map(({ operationName, resultType }) => [operationName, resultType]),
      [
        ['ManagedIdentitySignIn', 'Success'],
        ['ManagedIdentitySignIn', 'Failed'],
      ],
    )
    assert.ok(JSON.stringify(records[0]?.properties).includes(principalId))
    assert.equal(JSON.stringify(records).includes(secret), false)
  })

  it('asks for the Metadata header in the IMDS form', async () => {
    const path = `/metadata/identity/oauth2/token/?${vault.replace('2019-08-01', '2018-02-01')}`
    assert.equal((await get(path, { 'x-identity-header': secret })).status, 400)
    assert.equal((await get(path, { 'x-identity-header': secret, metadata: 'true' })).status, 200)
  })

  it('serves the CA to clients that cannot trust HTTPS yet', async () => {
    const response = await fetch(`http://127.0.0.1:${metadata.port}/ca.pem`)
    assert.equal(await response.text(), 'CA')
  })

  it('gives nothing once the identity is gone · R31', async () => {
    await test.records.commit(await test.entra.identities.remove(principalId))
    assert.equal((await get(`/msi/token?${vault}`, { 'x-identity-header': secret })).status, 401)
  })
})
