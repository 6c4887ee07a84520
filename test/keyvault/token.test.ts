import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync, publicEncrypt, constants } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import type { KeyVaultKey } from '@azure/keyvault-keys'
import { keyMaterial } from '../../src/keyvault/key-record.ts'
import { openSoftToken, softHsmMissing, softTokens } from '../../src/pkcs11/soft-token.fixture.ts'
import type { Token } from '../../src/pkcs11/token.ts'
import { startCloud, type Cloud } from './cloud.fixture.ts'

const VAULT = 'kv-token'

/** The token, with a memory of the keys it was asked to make and a switch that unplugs it. */
function watched(token: Token): Token & { readonly made: string[]; plugged: boolean } {
  const made: string[] = []
  const watch = {
    label: token.label,
    made,
    plugged: true,
    generateRsa: async (bits: number, exponent: number) => {
      const key = await token.generateRsa(bits, exponent)
      made.push(key.id)
      return key
    },
    importRsa: async (numbers: Parameters<Token['importRsa']>[0]) => {
      const key = await token.importRsa(numbers)
      made.push(key.id)
      return key
    },
    decrypt: token.decrypt.bind(token),
    sign: token.sign.bind(token),
    destroy: async (id: string) => {
      if (!watch.plugged) throw new Error('The token is not there.')
      await token.destroy(id)
    },
    close: token.close.bind(token),
  }
  return watch
}

describe('RSA-HSM keys in a PKCS #11 token', { skip: softHsmMissing }, () => {
  let tokens: ReturnType<typeof softTokens>
  let token: ReturnType<typeof watched>
  let cloud: Cloud
  let key: KeyVaultKey

  before(async () => {
    tokens = softTokens('vault')
    token = watched(await openSoftToken())
    cloud = await startCloud(undefined, token)
    await cloud.vault(VAULT)
    key = await cloud.keys(VAULT).createRsaKey('hsm', { hsm: true, keySize: 2048 })
  })
  after(async () => {
    await cloud.close()
    await token.close()
    tokens.remove()
  })

  const missing = (id: string): Promise<void> =>
    assert.rejects(token.decrypt(id, { type: 'raw' }, Buffer.alloc(256)), /holds no private key/u)

  it('are made in the token, and only a sealed handle is stored · R06', async () => {
    assert.equal(key.keyType, 'RSA-HSM')
    assert.equal(token.made.length, 1)
    const [stored] = await cloud.records.list(keyMaterial, { limit: 1000 })
    // A sealed PKCS #8 key of 2048 bits has more than 1,200 bytes; the handle holds an id and the public key.
    assert.ok(Buffer.from(stored?.value.sealed ?? '', 'base64').length < 500)
  })

  it('unwrap and decrypt under RSA-OAEP-256 and RSA-OAEP what the official client wraps and encrypts', async () => {
    const crypto = cloud.cryptography(key)
    const data = Buffer.alloc(64, 7)
    for (const algorithm of ['RSA-OAEP-256', 'RSA-OAEP'] as const) {
      const { result: wrapped } = await crypto.wrapKey(algorithm, data)
      assert.deepEqual(Buffer.from((await crypto.unwrapKey(algorithm, wrapped)).result), data)
      const { result: encrypted } = await crypto.encrypt({ algorithm, plaintext: data })
      assert.deepEqual(
        Buffer.from((await crypto.decrypt({ algorithm, ciphertext: Buffer.from(encrypted) })).result),
        data,
      )
    }
  })

  it('sign under all six algorithms, and verify', async () => {
    const crypto = cloud.cryptography(key.id ?? '')
    for (const algorithm of ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']) {
      const digest = createHash(`sha${algorithm.slice(2)}`)
        .update('text')
        .digest()
      const { result } = await crypto.sign(algorithm, digest)
      assert.equal((await crypto.verify(algorithm, digest, result)).result, true, algorithm)
      const other = createHash(`sha${algorithm.slice(2)}`)
        .update('other')
        .digest()
      assert.equal((await crypto.verify(algorithm, other, result)).result, false, algorithm)
    }
  })

  it('refuse an altered text, another algorithm and a wrong length with the same message', async () => {
    const wrap = { alg: 'RSA-OAEP-256', value: Buffer.alloc(32).toString('base64url') }
    const wrapped: string = (await cloud.call(VAULT, 'POST', '/keys/hsm/wrapkey', { body: wrap })).body.value
    const altered = Buffer.from(wrapped, 'base64url')
    altered[9]! ^= 1
    const unwrap = async (alg: string, value: string) =>
      cloud.call(VAULT, 'POST', '/keys/hsm/unwrapkey', { body: { alg, value } })
    const foreign = await unwrap('RSA-OAEP', wrapped)
    const broken = await unwrap('RSA-OAEP-256', altered.toString('base64url'))
    const large = await unwrap('RSA-OAEP-256', Buffer.alloc(256, 0xff).toString('base64url'))
    for (const { status, body } of [foreign, broken, large]) {
      assert.equal(status, 400)
      assert.match(body.error.message, /does not decrypt with RSA-OAEP/u)
    }
    assert.equal(broken.body.error.message, large.body.error.message)
    const short = await unwrap('RSA-OAEP-256', 'AAAA')
    assert.match(short.body.error.message, /has 256 bytes, not 3/u)
    const old = await unwrap('RSA1_5', wrapped)
    assert.deepEqual([old.status, old.body.error.code], [400, 'BadParameter'])
    assert.match(old.body.error.message, /Use RSA-OAEP-256/u)
  })

  it('can be imported, but not backed up', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const { kty: _, ...numbers } = privateKey.export({ format: 'jwk' })
    const body = { key: { kty: 'RSA-HSM', ...numbers }, Hsm: true }
    assert.equal((await cloud.call(VAULT, 'PUT', '/keys/brought', { body })).status, 200)
    assert.equal(token.made.length, 2)
    const padding = constants.RSA_PKCS1_OAEP_PADDING
    const value = publicEncrypt({ key: publicKey, padding, oaepHash: 'sha256' }, Buffer.from('hello'))
    const unwrap = { alg: 'RSA-OAEP-256', value: value.toString('base64url') }
    const answer = await cloud.call(VAULT, 'POST', '/keys/brought/unwrapkey', { body: unwrap })
    assert.equal(Buffer.from(answer.body.value, 'base64url').toString(), 'hello')
    const backup = await cloud.call(VAULT, 'POST', '/keys/brought/backup')
    assert.equal(backup.status, 400)
    assert.match(backup.body.error.message, /never gives it away/u)
  })

  it('rotate in the token; purging destroys every version there · R21', async () => {
    const keys = cloud.keys(VAULT)
    await keys.createRsaKey('short', { hsm: true })
    await keys.rotateKey('short')
    const ids = token.made.slice(-2)
    await (await keys.beginDeleteKey('short', { intervalInMs: 10 })).pollUntilDone()
    await token.decrypt(ids[0] ?? '', { type: 'raw' }, Buffer.alloc(256))
    await keys.purgeDeletedKey('short')
    for (const id of ids) await missing(id)
  })

  it('a key whose token is away while it is purged is destroyed as soon as the token is back', async () => {
    const keys = cloud.keys(VAULT)
    await keys.createRsaKey('late', { hsm: true })
    const id = token.made.at(-1) ?? ''
    await (await keys.beginDeleteKey('late', { intervalInMs: 10 })).pollUntilDone()
    token.plugged = false
    await keys.purgeDeletedKey('late')
    await token.decrypt(id, { type: 'raw' }, Buffer.alloc(256))
    token.plugged = true
    await cloud.advance(0)
    await missing(id)
  })

  it('a key that somebody removed from the token answers 503 with its id', async () => {
    await cloud.keys(VAULT).createRsaKey('lost', { hsm: true })
    const id = token.made.at(-1) ?? ''
    await token.destroy(id)
    const body = { alg: 'RSA-OAEP-256', value: Buffer.alloc(256, 1).toString('base64url') }
    const answer = await cloud.call(VAULT, 'POST', '/keys/lost/unwrapkey', { body })
    assert.equal(answer.status, 503)
    assert.match(answer.body.error.message, new RegExp(id, 'u'))
  })

  it('EC-HSM and oct-HSM keys, and RSA keys, stay sealed software keys', async () => {
    const before = token.made.length
    await cloud.keys(VAULT).createEcKey('ec', { hsm: true })
    await cloud.keys(VAULT).createOctKey('oct', { hsm: true })
    await cloud.keys(VAULT).createRsaKey('rsa')
    assert.equal(token.made.length, before)
    assert.equal((await cloud.call(VAULT, 'POST', '/keys/ec/backup')).status, 200)
  })
})
