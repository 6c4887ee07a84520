import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer, getCACertificates, setDefaultCACertificates } from 'node:tls'
import { after, before, describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { exportJWK, generateKeyPair, jwtVerify, SignJWT, type JWK } from 'jose'
import { systemEnv } from '../base/env.ts'
import { startListening, type Listening } from '../http/listening.fixture.ts'
import { resolveLocalNames } from '../http/local-names.mjs'
import { json } from '../http/respond.ts'
import type { Route } from '../http/route.ts'
import { isPublicAddress } from './fetch-public.ts'
import { openIssuerKeys } from './issuer-keys.ts'

describe('issuers outside of this cloud', () => {
  let server: Listening
  let base: string
  let asked = 0
  let described: object = {}
  let keys: JWK[] = []
  let logged = ''
  const open = () =>
    openIssuerKeys({
      env: systemEnv,
      ownKeys: () => undefined,
      named: [new URL(base).host],
      log: (_, error) => void (logged = String(error)),
    })
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

  it('are asked for their keys over https, and believed only when their document names them', async () => {
    const pair = await generateKeyPair('ES256')
    keys = [{ ...(await exportJWK(pair.publicKey)), kid: 'k', alg: 'ES256' }]
    const issuer = `${base}/issuer`
    described = { issuer, jwks_uri: `${base}/keys` }
    const issuerKeys = open()
    const token = await new SignJWT({ iss: issuer })
      .setProtectedHeader({ alg: 'ES256', kid: 'k' })
      .sign(pair.privateKey)
    for (let use = 0; use < 3; use++) await jwtVerify(token, await issuerKeys.of(issuer))
    assert.equal(asked, 1)
    const why = /50166.*can't be read/
    described = { issuer: 'https://other.example', jwks_uri: `${base}/keys` }
    await assert.rejects(open().of(issuer), why)
    assert.match(logged, /calls itself/)
    described = { issuer, jwks_uri: 'http://localhost/keys' }
    await assert.rejects(open().of(issuer), why)
    described = { issuer, jwks_uri: 'https://elsewhere.example/keys' }
    await assert.rejects(open().of(issuer), why)
    assert.match(logged, /elsewhere/)
    described = { issuer }
    await assert.rejects(open().of(issuer), why)
    for (const [other, reason] of [
      [`${base}/large`, /more than/],
      [`${base}/nowhere`, /answers 404/],
      ['http://localhost', /https/],
    ] as const) {
      await assert.rejects(open().of(other), why)
      assert.match(logged, reason)
    }
  })

  it('that are in this machine`s network are not asked, by name or by address, unless the operator named them', async () => {
    described = { issuer: `${base}/issuer`, jwks_uri: `${base}/keys` }
    const messages = new Set<string>()
    asked = 0
    const issuers = [
      `${base}/issuer`,
      `https://127.0.0.1:${server.listener.port}/issuer`,
      `https://[::1]:${server.listener.port}/issuer`,
      `https://[::ffff:127.0.0.1]:${server.listener.port}/issuer`,
      'https://169.254.169.254/issuer',
      'https://nowhere.localhost:1',
      'https://2130706433/',
    ]
    for (const issuer of issuers) {
      const refused = await openIssuerKeys({ env: systemEnv, ownKeys: () => undefined })
        .of(issuer)
        .catch((error: unknown) => error)
      messages.add((refused as Error).message.replace(issuer, 'ISSUER').replace(/[0-9a-f-]{36}/g, ''))
    }
    assert.equal(messages.size, 1, [...messages].join('\n'))
    assert.equal(asked, 0)
    await open().of(`${base}/issuer`)
    assert.equal(asked, 1)
  })

  it('that do not answer with a whole HTTP response are refused', async () => {
    const head = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n'
    const answers = {
      'an answer that switches protocols':
        'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nx',
      'a head alone': 'HTTP/1.1 200 OK\r\n',
      'a body that is cut off': `${head}content-length: 100\r\n\r\n{`,
      'what follows an answer': `${head}content-length: 2\r\n\r\n{}\0\xff`,
      'a chunk of no size': `${head}transfer-encoding: chunked\r\n\r\n2\r\n{}\r\nzz\r\n`,
      nothing: '',
    }
    let answer = ''
    const { certificatePem: cert, keyPem: key } = server.certificates
    const odd = createServer({ cert, key }, socket => {
      socket.on('error', () => {})
      socket.once('data', () => socket.end(answer, 'latin1'))
    })
    await once(odd.listen(0, '127.0.0.1'), 'listening')
    const host = `portal.localhost:${(odd.address() as AddressInfo).port}`
    try {
      for (const [name, bytes] of Object.entries(answers)) {
        answer = bytes
        const asking = openIssuerKeys({ env: systemEnv, ownKeys: () => undefined, named: [host] }).of(`https://${host}`)
        const late = setTimeout(10_000, 'waits', { ref: false })
        assert.match(String(await Promise.race([asking.catch(String), late])), /50166/, name)
      }
    } finally {
      odd.close()
    }
  })

  it('have addresses of the internet at large, in whatever form they are written', () => {
    for (const address of ['8.8.8.8', '2606:4700:4700::1111', '1.1.1.1']) assert.ok(isPublicAddress(address), address)
    for (const address of [
      '127.0.0.1',
      '10.1.2.3',
      '172.31.255.255',
      '192.168.1.1',
      '169.254.169.254',
      '100.64.0.1',
      '0.0.0.0',
      '255.255.255.255',
      '224.0.0.1',
      '::1',
      '::',
      'fe80::1%eth0',
      'fd00::1',
      '::ffff:10.0.0.1',
      '::ffff:7f00:1',
      '64:ff9b::7f00:1',
      '2002:7f00:1::',
      '2001::1',
      'nonsense',
    ])
      assert.equal(isPublicAddress(address), false, address)
  })
})
