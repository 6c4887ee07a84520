import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose'
import { AzureError } from '../http/errors.ts'
import { startEntra, type TestEntra } from './entra.fixture.ts'
import { openEntra } from './open-entra.ts'
import { principals } from './records.ts'

const resourceId = '/subscriptions/S/resourceGroups/RG/providers/Microsoft.CognitiveServices/accounts/a'
const vault = { audiences: ['https://vault.azure.net'] }
const status = (code: number, text: RegExp) => (error: unknown) =>
  error instanceof AzureError && error.status === code && text.test(`${error.code} ${error.message}`)

describe('directory', () => {
  let test: TestEntra
  beforeEach(async () => {
    test = await startEntra()
  })

  async function identity(): Promise<string> {
    const { tenantId } = test.entra.administrator
    const made = test.entra.identities.create({ resourceId, name: 'a', tenantId })
    await test.records.commit(made.changes)
    return made.principalId
  }

  it('has the same tenant, administrator and keys after a restart', async () => {
    const token = await test.entra.identities.token(await identity(), 'https://vault.azure.net')
    const again = await openEntra(test.options)
    assert.deepEqual(again.administrator, test.entra.administrator)
    assert.equal((await again.tokens.verify(token.token, vault)).tenantId, again.administrator.tenantId)
    const names = ['tenants', 'principals', 'applications', 'signing-keys', 'administrator']
    const stored = await Promise.all(
      names.map(async name => test.records.list({ name: `entra.${name}` }, { limit: 1000 })),
    )
    const text = JSON.stringify(stored)
    assert.ok(text.includes(again.administrator.clientId))
    assert.ok(!text.includes(again.administrator.clientSecret) && !text.includes('PRIVATE KEY'))
  })

  it('gives the identity of a resource the claims that Key Vault reads · R13', async () => {
    const principalId = await identity()
    const { token, expiresAt } = await test.entra.identities.token(principalId, 'https://vault.azure.net')
    const { tenantId } = test.entra.administrator
    const claims = decodeJwt(token)
    assert.equal(claims.aud, 'https://vault.azure.net')
    assert.equal(claims.iss, `https://sts.windows.net/${tenantId}/`)
    assert.equal(claims['oid'], principalId)
    assert.equal(claims.sub, principalId)
    assert.equal(claims['tid'], tenantId)
    assert.equal(claims['idp'], claims.iss)
    assert.equal(claims['ver'], '1.0')
    assert.equal(claims['xms_mirid'], resourceId.replace('resourceGroups', 'resourcegroups'))
    assert.equal((claims.exp ?? 0) * 1000, expiresAt)
    assert.equal(claims.nbf, claims.iat)
    assert.equal(decodeProtectedHeader(token).alg, 'RS256')
    assert.equal((await test.entra.identities.byResource(resourceId.toUpperCase()))?.objectId, principalId)
  })

  it('refuses the tokens of an identity from the moment it is turned off · R31', async () => {
    const principalId = await identity()
    const { token } = await test.entra.identities.token(principalId, 'https://vault.azure.net')
    assert.equal((await test.entra.tokens.verify(token, vault)).objectId, principalId)
    await test.records.commit(await test.entra.identities.remove(principalId))
    await assert.rejects(test.entra.tokens.verify(token, vault), status(401, /does not exist any more/))
    await assert.rejects(
      test.entra.identities.token(principalId, 'https://vault.azure.net'),
      status(403, /ManagedIdentityUnavailable/),
    )
    assert.equal(await test.entra.identities.byResource(resourceId), undefined)
    assert.deepEqual(await test.entra.identities.remove(principalId), [])
    assert.notEqual(await identity(), principalId)
  })

  it('does not let one resource have two identities', async () => {
    await identity()
    await assert.rejects(identity())
  })

  it('refuses the tokens of a principal while it is disabled', async () => {
    const principalId = await identity()
    const { token } = await test.entra.identities.token(principalId, 'https://vault.azure.net')
    await test.entra.enablePrincipal(principalId, false)
    await assert.rejects(test.entra.tokens.verify(token, vault), status(401, /disabled/))
    await test.entra.enablePrincipal(principalId, true)
    await test.entra.tokens.verify(token, vault)
  })

  it('accepts a token for its own audience only, with or without slash and port · R07', async () => {
    const principalId = await identity()
    const issue = async (audience: string) => (await test.entra.identities.token(principalId, audience)).token
    const own = await issue('https://vault.localhost:8443')
    for (const audience of [
      'vault',
      'https://vault.localhost',
      'https://vault.azure.net/',
      'cfa8b339-82a2-471a-a3c9-0fc0be7a4093',
    ]) {
      await test.entra.tokens.verify(own, { audiences: [audience] })
    }
    for (const audience of ['management', 'openai', 'https://vault.localhost.evil.example', 'https://example.com']) {
      await assert.rejects(test.entra.tokens.verify(own, { audiences: [audience] }), status(401, /ask for one/))
    }
    await assert.rejects(issue('https://example.com'))
  })

  it('refuses expired tokens, tokens from the future, and every forgery', async () => {
    const principalId = await identity()
    const { token } = await test.entra.identities.token(principalId, 'https://vault.azure.net')
    const [header = '', payload = '', signature = ''] = token.split('.')
    const none = Buffer.from(JSON.stringify({ alg: 'none', typ: 'JWT' })).toString('base64url')
    const { kid = '' } = decodeProtectedHeader(token)
    const hmac = await new SignJWT(decodeJwt(token))
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT', kid })
      .sign(Buffer.from('a secret of thirty-two bytes at least'))
    const changed = Buffer.from(
      JSON.stringify({ ...decodeJwt(token), oid: test.entra.administrator.objectId }),
    ).toString('base64url')
    for (const forged of [
      `${none}.${payload}.`,
      hmac,
      `${header}.${changed}.${signature}`,
      `${header}.${payload}`,
      'x',
      '',
      'y'.repeat(20_000),
    ]) {
      await assert.rejects(test.entra.tokens.verify(forged, vault), status(401, /InvalidAuthenticationToken/))
    }
    test.advance(-120_000)
    await assert.rejects(test.entra.tokens.verify(token, vault), status(401, /not valid yet/))
    test.advance(120_000 + 3_600_000)
    await assert.rejects(test.entra.tokens.verify(token, vault), status(401, /Expired/))
  })

  it('checks time, audience and principal again at each use of a token whose signature it knows · R31', async () => {
    const principalId = await identity()
    const { token } = await test.entra.identities.token(principalId, 'https://vault.azure.net')
    for (let use = 0; use < 2; use++) await test.entra.tokens.verify(token, vault)
    await assert.rejects(test.entra.tokens.verify(token, { audiences: ['openai'] }), status(401, /ask for one/))
    test.advance(-120_000)
    await assert.rejects(test.entra.tokens.verify(token, vault), status(401, /not valid yet/))
    test.advance(120_000)
    await test.entra.tokens.verify(token, vault)
    await test.entra.enablePrincipal(principalId, false)
    await assert.rejects(test.entra.tokens.verify(token, vault), status(401, /disabled/))
    await test.entra.enablePrincipal(principalId, true)
    await test.entra.tokens.verify(token, vault)
    test.advance(3_600_000)
    await assert.rejects(test.entra.tokens.verify(token, vault), status(401, /Expired/))
  })

  it('accepts the tokens of a rotated key until they have expired', async () => {
    const principalId = await identity()
    const { token } = await test.entra.identities.token(principalId, 'https://vault.azure.net')
    await test.entra.rotateSigningKey()
    await test.entra.tokens.verify(token, vault)
    const again = await openEntra(test.options)
    await again.tokens.verify(token, vault)
    const fresh = await again.identities.token(principalId, 'https://vault.azure.net')
    assert.notEqual(decodeProtectedHeader(fresh.token).kid, decodeProtectedHeader(token).kid)
    await test.entra.tokens.verify(fresh.token, vault)
  })

  it('signs with a new key every 30 days', async () => {
    const kidOf = async () => {
      const principal = await test.entra.principal(test.entra.administrator.objectId)
      assert.ok(principal)
      return decodeProtectedHeader((await test.entra.tokens.issue(principal, 'https://vault.azure.net')).token).kid
    }
    const first = await kidOf()
    test.advance(29 * 86_400_000)
    assert.equal(await kidOf(), first)
    test.advance(86_400_000)
    const later = new Set(await Promise.all([kidOf(), kidOf(), kidOf()]))
    assert.equal(later.size, 1)
    assert.ok(!later.has(first))
  })

  it('always has a key that signs, however many callers change it at a time', async () => {
    const principalId = await identity()
    const first = await test.entra.identities.token(principalId, 'https://vault.azure.net')
    await Promise.all([test.entra.rotateSigningKey(), test.entra.rotateSigningKey(), test.entra.rotateSigningKey()])
    let refused = 0
    for (let turn = 0; turn < 20; turn++)
      await test.entra.rotateSigningKey().catch((error: unknown) => {
        assert.ok(error instanceof AzureError && error.status === 429)
        refused++
      })
    assert.equal(refused, 2)
    await test.entra.tokens.verify(first.token, vault)
    const again = await openEntra(test.options)
    await again.tokens.verify((await again.identities.token(principalId, 'https://vault.azure.net')).token, vault)
    test.advance(26 * 3_600_000)
    await test.entra.rotateSigningKey()
  })

  it('keeps tenants apart: a principal counts in the tenant of its token only · R07', async () => {
    const principalId = await identity()
    const { token } = await test.entra.identities.token(principalId, 'https://vault.azure.net')
    const found = await test.records.get(principals, principalId)
    assert.ok(found)
    const tenantId = await test.entra.createTenant('Other')
    await test.records.commit([{ collection: principals.name, id: principalId, value: { ...found.value, tenantId } }])
    await assert.rejects(test.entra.tokens.verify(token, vault), status(401, /does not exist any more/))
    const other = await test.entra.createApplication({ tenantId, displayName: 'other' })
    assert.equal((await test.entra.principal(other.objectId))?.tenantId, tenantId)
    await assert.rejects(
      test.entra.createApplication({ tenantId: 'nowhere', displayName: 'x' }),
      status(404, /TenantNotFound/),
    )
  })
})
