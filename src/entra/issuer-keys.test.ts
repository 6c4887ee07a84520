import assert from 'node:assert/strict'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { after, before, describe, it } from 'node:test'
import { exportJWK, generateKeyPair, jwtVerify, SignJWT, type JWK } from 'jose'
import { systemEnv } from '../env.ts'
import { startListening, type Listening } from '../http/listening.fixture.ts'
import { resolveLocalNames } from '../http/local-names.mjs'
import { json } from '../http/respond.ts'
import type { Route } from '../http/route.ts'
import { openIssuerKeys } from './issuer-keys.ts'

describe('issuers outside of this cloud', () => {
  let server: Listening
  let base: string
  let asked = 0
  let described: object = {}
  let keys: JWK[] = []
  before(async () => {
    const route = (path: string, answer: () => object): Route => ({
      host: 'portal',
      method: 'GET',
      path,
      auth: 'none',
      reason: 'an issuer of a test',
      maxBody: 0,
      handler: () => json(answer()),
    })
    server = await startListening([
      route('/issuer/.well-known/openid-configuration', () => described),
      route('/keys', () => {
        asked += 1
        return { keys }
      }),
      route('/large/.well-known/openid-configuration', () => ({ issuer: 'x'.repeat(300_000) })),
    ])
    resolveLocalNames()
    setDefaultCACertificates([...getCACertificates('default'), server.certificates.caPem])
    base = `https://portal.localhost:${server.listener.port}`
  })
  after(async () => server.close())

  it('are asked for their keys over https, seldom, and taken at their word only when they name themselves', async () => {
    const pair = await generateKeyPair('ES256')
    keys = [{ ...(await exportJWK(pair.publicKey)), kid: 'k', alg: 'ES256' }]
    const issuer = `${base}/issuer`
    described = { issuer, jwks_uri: `${base}/keys` }
    const issuerKeys = openIssuerKeys(systemEnv, () => undefined)
    const token = await new SignJWT({ iss: issuer })
      .setProtectedHeader({ alg: 'ES256', kid: 'k' })
      .sign(pair.privateKey)
    for (let use = 0; use < 3; use++) await jwtVerify(token, await issuerKeys.of(issuer))
    assert.equal(asked, 1)
    described = { issuer: 'https://other.example', jwks_uri: `${base}/keys` }
    await assert.rejects(openIssuerKeys(systemEnv, () => undefined).of(issuer), /50166.*calls itself/)
    described = { issuer, jwks_uri: 'http://localhost/keys' }
    await assert.rejects(openIssuerKeys(systemEnv, () => undefined).of(issuer), /50166.*https/)
    described = { issuer }
    await assert.rejects(openIssuerKeys(systemEnv, () => undefined).of(issuer), /50166.*Discovery/)
    for (const [other, why] of [
      [`${base}/large`, /more than/],
      [`${base}/nowhere`, /answers 404/],
      ['http://localhost', /https/],
      ['https://nowhere.localhost:1', /50166/],
    ] as const)
      await assert.rejects(openIssuerKeys(systemEnv, () => undefined).of(other), why)
  })
})
