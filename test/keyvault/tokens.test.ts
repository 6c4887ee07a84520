import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { SignJWT, type JWTPayload } from 'jose'
import { after, before, test } from 'node:test'
import { ADMIN, startCloud, TENANT, type Cloud } from './cloud.fixture.ts'

let cloud: Cloud

before(async () => {
  cloud = await startCloud()
  await cloud.vault('kv-tokens')
})
after(() => cloud.close())

const ask = (token: string | null) => cloud.call('kv-tokens', 'GET', '/keys', { token })

async function refused(token: string, message: RegExp): Promise<string> {
  const { status, headers, body } = await ask(token)
  assert.equal(status, 401)
  assert.equal(body.error.code, 'Unauthorized')
  assert.match(body.error.message, message)
  const challenge = String(headers['www-authenticate'])
  assert.match(
    challenge,
    new RegExp(`^Bearer authorization="https://login\\.localhost:\\d+/${TENANT}", resource="https://vault\\.`),
  )
  return challenge
}

const parts = (token: string): [Record<string, unknown>, JWTPayload, string] => {
  const [head = '', payload = '', signature = ''] = token.split('.')
  const read = (text: string) => JSON.parse(Buffer.from(text, 'base64url').toString())
  return [read(head), read(payload), signature]
}
const encoded = (one: object): string => Buffer.from(JSON.stringify(one)).toString('base64url')

test('a token is valid only as it was signed: not changed, unsigned, or by another key or algorithm', async () => {
  const token = await cloud.token(ADMIN)
  assert.equal((await ask(token)).status, 200)
  const [head, claims, signature] = parts(token)
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const forged = async (change: object = {}, header: object = {}): Promise<string> =>
    new SignJWT({ ...claims, ...change }).setProtectedHeader({ ...head, alg: 'RS256', ...header }).sign(privateKey)
  const secret = new TextEncoder().encode(publicKey.export({ format: 'pem', type: 'spki' }).toString())
  for (const bad of [
    `${encoded(head)}.${encoded({ ...claims, oid: ADMIN.replace('1', '2') })}.${signature}`,
    `${encoded({ ...head, alg: 'none' })}.${encoded(claims)}.`,
    `${encoded({ ...head, alg: 'none' })}.${encoded(claims)}.${signature}`,
    await forged(),
    await forged({}, { jwk: publicKey.export({ format: 'jwk' }) }),
    await forged({}, { kid: 'unknown' }),
    await new SignJWT(claims).setProtectedHeader({ ...head, alg: 'HS256' }).sign(secret),
    `${token}x`,
    token.slice(0, -2),
    token.split('.').slice(0, 2).join('.'),
    'a.b.c',
    '..',
  ])
    await refused(bad, /^(AKV10046: [^.]*\. )?The access token is (invalid|not signed by a key of this cloud)/)
  // The earlier result must not be cached for a token that only looks alike.
  assert.equal((await ask(token)).status, 200)
})

test('anything but one bearer token is refused', async () => {
  const token = await cloud.token(ADMIN)
  for (const authorization of [
    'Bearer',
    `Basic ${token}`,
    token,
    `Bearer ${token} ${token}`,
    `Bearer ${token}, Bearer ${token}`,
    `PoP ${token}`,
  ]) {
    const { status, body } = await cloud.call('kv-tokens', 'GET', '/keys', { token: null, authorization })
    assert.equal(status, 401, authorization.slice(0, 20))
    assert.equal(body.error.message, 'AKV10000: Request is missing a Bearer or PoP token.')
  }
  const lower = await cloud.call('kv-tokens', 'GET', '/keys', { token: null, authorization: `bearer ${token}` })
  assert.equal(lower.status, 200)
})

test('a token is valid for its hour only', async () => {
  const token = await cloud.token(ADMIN)
  assert.equal((await ask(token)).status, 200)
  const hour = 1 / 24
  await cloud.advance(0.98 * hour)
  assert.equal((await ask(token)).status, 200)
  await cloud.advance(0.04 * hour)
  const late = await refused(token, /^The access token has expired/)
  assert.match(late, /error="insufficient_claims", claims="[\w+/=]+"$/)
  await cloud.advance(-1.5 * hour)
  const early = await refused(token, /^The access token is not valid yet/)
  assert.match(early, /error="insufficient_claims"/)
  await cloud.advance(0.6 * hour)
  assert.equal((await ask(token)).status, 200)
})

test('a token for the vault is valid under each name of its audience, and under no other', async () => {
  for (const audience of [
    cloud.resource,
    `${cloud.resource}/`,
    'https://vault.azure.net',
    'https://vault.azure.net/',
    'cfa8b339-82a2-471a-a3c9-0fc0be7a4093',
  ])
    assert.equal((await ask(await cloud.token(ADMIN, audience))).status, 200, audience)
  for (const audience of [
    'https://management.azure.com',
    'https://vault.azure.net.evil.example',
    'https://cognitiveservices.azure.com',
    cloud.vaultUrl('kv-tokens').replace('kv-tokens', 'kv-other'),
    '',
  ])
    await refused(await cloud.token(ADMIN, audience), /^AKV10022: Invalid audience\./)
})
