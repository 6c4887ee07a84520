import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync, getFips, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { CryptographyClient, JsonWebKey, KeyClient, SignatureAlgorithm } from '@azure/keyvault-keys'
import { startCloud, type Cloud } from '../keyvault/cloud.fixture.ts'

/* Every method of the official client, unmodified, with the scenarios of Lowkey Vault's suite. */
let cloud: Cloud
let keys: KeyClient

before(async () => {
  cloud = await startCloud()
  await cloud.vault('kv-client')
  await cloud.vault('kv-other')
  keys = cloud.keys('kv-client')
})
after(() => cloud.close())

const soon = { intervalInMs: 1 }

/** A FIPS provider has neither P-256K nor decryption with RSA1_5: test/keyvault/keys.test.ts. */
const isFips = getFips() === 1

async function all<T>(list: AsyncIterable<T>): Promise<T[]> {
  const found = []
  for await (const one of list) found.push(one)
  return found
}

test('keys of every type and size are created, by the general and by the special method · R06', async () => {
  assert.equal((await keys.createKey('general', 'EC', { curve: 'P-384' })).key?.crv, 'P-384')
  for (const [name, size] of [
    ['rsa-2048', 2048],
    ['rsa-3072', 3072],
    ['rsa-4096', 4096],
  ] as const) {
    assert.equal((await keys.createRsaKey(name, { keySize: size, publicExponent: 3 })).key?.n?.length, size / 8)
  }
  for (const curve of ['P-256', 'P-384', 'P-521', ...(isFips ? [] : (['P-256K'] as const))] as const) {
    for (const hsm of [false, true]) {
      const { key, keyType } = await keys.createEcKey(`ec-${curve}-${hsm}`, { curve, hsm })
      assert.deepEqual([key?.crv, keyType], [curve, hsm ? 'EC-HSM' : 'EC'])
    }
  }
  for (const keySize of [128, 192, 256]) {
    const { keyType, key } = await keys.createOctKey(`oct-${keySize}`, { keySize, hsm: true })
    assert.deepEqual([keyType, key?.k], ['oct-HSM', undefined], 'a symmetric key shows nothing of itself')
  }
})

test('a key is read: the latest, the first version; a disabled one only in lists', async () => {
  const first = await keys.createRsaKey('read', {
    tags: { a: 'b' },
    expiresOn: new Date(2e12),
    notBefore: new Date(1e12),
  })
  const second = await keys.rotateKey('read')
  assert.equal((await keys.getKey('read')).properties.version, second.properties.version)
  const version = first.properties.version ?? ''
  const again = await keys.getKey('read', { version })
  assert.deepEqual([again.id, again.properties.tags], [first.id, { a: 'b' }])
  assert.equal(again.properties.expiresOn?.getTime(), 2e12)
  assert.equal(again.properties.notBefore?.getTime(), 1e12)
  const updated = await keys.updateKeyProperties('read', version, { enabled: false, tags: { c: 'd' } })
  assert.deepEqual([updated.properties.enabled, updated.properties.tags], [false, { c: 'd' }])
  await assert.rejects(keys.getKey('read', { version }), { statusCode: 403 })
  assert.equal(
    (await keys.updateKeyProperties('read', { tags: { e: 'f' } })).properties.version,
    second.properties.version,
  )
  const versions = await all(keys.listPropertiesOfKeyVersions('read'))
  assert.deepEqual(versions.map(({ enabled }) => enabled).sort(), [false, true])
  assert.ok((await all(keys.listPropertiesOfKeys())).some(({ name }) => name === 'read'))
})

test('a key is deleted, listed as deleted, recovered, deleted again and purged · R21', async () => {
  const { id } = await keys.createEcKey('passing')
  await (await keys.beginDeleteKey('passing', soon)).pollUntilDone()
  assert.equal((await keys.getDeletedKey('passing')).id, id)
  const [deleted, ...more] = (await all(keys.listDeletedKeys())).filter(({ name }) => name === 'passing')
  assert.equal(more.length, 0)
  assert.ok((deleted?.properties.scheduledPurgeDate?.getTime() ?? 0) > Date.now() + 89 * 86_400_000)
  await (await keys.beginRecoverDeletedKey('passing', soon)).pollUntilDone()
  assert.equal((await keys.getKey('passing')).id, id)
  await (await keys.beginDeleteKey('passing', soon)).pollUntilDone()
  await keys.purgeDeletedKey('passing')
  await assert.rejects(keys.getDeletedKey('passing'), { statusCode: 404 })
})

test('keys are imported: RSA and EC, as software and as HSM keys · R06', async () => {
  const made = [generateKeyPairSync('rsa', { modulusLength: 2048 }), generateKeyPairSync('ec', { namedCurve: 'P-256' })]
  for (const [index, { privateKey }] of made.entries()) {
    for (const hardwareProtected of [false, true]) {
      const name = `brought-${index}-${hardwareProtected}`
      const jwk = asJwk(privateKey.export({ format: 'jwk' }))
      const key = await keys.importKey(name, jwk, { hardwareProtected, tags: { from: 'home' } })
      assert.equal(key.keyType, `${jwk.kty}${hardwareProtected ? '-HSM' : ''}`)
      const digest = createHash('sha256').update(name).digest()
      const algorithm = index === 0 ? 'PS256' : 'ES256'
      const client = cloud.cryptography(key)
      const { result } = await client.sign(algorithm, digest)
      assert.equal((await client.verify(algorithm, digest, result)).result, true)
    }
  }
})

/** The client takes bytes where a JSON Web Key has base64url. */
function asJwk(jwk: object): JsonWebKey {
  const members = Object.entries(jwk).map(([name, text]) =>
    ['kty', 'crv'].includes(name) ? [name, text] : [name, Buffer.from(String(text), 'base64url')],
  )
  return Object.fromEntries(members) as JsonWebKey
}

test('a key goes to another vault by backup and restore, and a rotation policy is set and read', async () => {
  await keys.createRsaKey('moving')
  const policy = await keys.updateKeyRotationPolicy('moving', {
    expiresIn: 'P90D',
    lifetimeActions: [{ action: 'Rotate', timeBeforeExpiry: 'P10D' }],
  })
  assert.deepEqual((await keys.getKeyRotationPolicy('moving')).lifetimeActions, policy.lifetimeActions)
  const { id } = await keys.rotateKey('moving')
  const restored = await cloud.keys('kv-other').restoreKeyBackup((await keys.backupKey('moving')) as Uint8Array)
  assert.equal(restored.properties.version, id?.split('/').at(-1))
  assert.equal((await cloud.keys('kv-other').getKeyRotationPolicy('moving')).expiresIn, 'P90D')
})

test('random bytes come; release and attestation say that they are not supported here', async () => {
  assert.equal((await keys.getRandomBytes(32)).length, 32)
  await keys.createRsaKey('kept')
  await assert.rejects(keys.releaseKey('kept', 'attestation'), { statusCode: 400, message: /not supported here/ })
  await assert.rejects(keys.getKeyAttestation('kept'), { statusCode: 400, message: /not supported here/ })
})

test('every algorithm of a key encrypts, wraps and signs, and undoes it · R06', async () => {
  const secret = randomBytes(32)
  const rsa = cloud.cryptography(await keys.createRsaKey('all-rsa'))
  for (const algorithm of [...(isFips ? [] : (['RSA1_5'] as const)), 'RSA-OAEP', 'RSA-OAEP-256'] as const) {
    await wraps(rsa, algorithm, secret)
    const { result } = await rsa.encrypt({ algorithm, plaintext: secret })
    assert.deepEqual(Buffer.from((await rsa.decrypt({ algorithm, ciphertext: result })).result), secret)
  }
  for (const size of [256, 384, 512]) {
    await signs(rsa, `RS${size}`, `sha${size}`)
    await signs(rsa, `PS${size}`, `sha${size}`)
  }
  for (const [curve, algorithm, hash] of [
    ['P-256', 'ES256', 'sha256'],
    ...(isFips ? [] : ([['P-256K', 'ES256K', 'sha256']] as const)),
    ['P-384', 'ES384', 'sha384'],
    ['P-521', 'ES512', 'sha512'],
  ] as const) {
    await signs(cloud.cryptography(await keys.createEcKey(`all-${curve}`, { curve })), algorithm, hash)
  }
  for (const size of [128, 192, 256] as const) {
    const oct = cloud.cryptography(await keys.createOctKey(`all-oct-${size}`, { keySize: size, hsm: true }))
    await wraps(oct, `A${size}KW`, secret)
    const gcm = await oct.encrypt({ algorithm: `A${size}GCM`, plaintext: secret, additionalAuthenticatedData: secret })
    const { result: ciphertext, iv, authenticationTag, additionalAuthenticatedData } = gcm
    const opened = await oct.decrypt({
      algorithm: `A${size}GCM`,
      ciphertext,
      iv: iv ?? Buffer.alloc(0),
      authenticationTag: authenticationTag ?? Buffer.alloc(0),
      ...(additionalAuthenticatedData === undefined ? {} : { additionalAuthenticatedData }),
    })
    assert.deepEqual(Buffer.from(opened.result), secret)
    for (const algorithm of [`A${size}CBC`, `A${size}CBCPAD`] as const) {
      const sealed = await oct.encrypt({ algorithm, plaintext: secret, iv: randomBytes(16) })
      const plain = await oct.decrypt({ algorithm, ciphertext: sealed.result, iv: sealed.iv ?? Buffer.alloc(0) })
      assert.deepEqual(Buffer.from(plain.result), secret)
    }
  }
})

async function wraps(
  client: CryptographyClient,
  algorithm: Parameters<CryptographyClient['wrapKey']>[0],
  secret: Buffer,
): Promise<void> {
  const { result } = await client.wrapKey(algorithm, secret)
  assert.deepEqual(Buffer.from((await client.unwrapKey(algorithm, result)).result), secret, algorithm)
}

async function signs(client: CryptographyClient, algorithm: SignatureAlgorithm, hash: string): Promise<void> {
  const data = randomBytes(100)
  const digest = createHash(hash).update(data).digest()
  const { result } = await client.sign(algorithm, digest)
  assert.equal((await client.verify(algorithm, digest, result)).result, true, algorithm)
  const signed = await client.signData(algorithm, data)
  // Where the client has the public key, it verifies data itself but confuses PSS with PKCS #1. So digests go to the vault.
  if (algorithm.startsWith('PS')) {
    assert.equal((await client.verify(algorithm, digest, signed.result)).result, true, algorithm)
    return
  }
  assert.equal((await client.verifyData(algorithm, data, signed.result)).result, true, algorithm)
  signed.result[5]! ^= 1
  assert.equal((await client.verifyData(algorithm, data, signed.result)).result, false, algorithm)
}
