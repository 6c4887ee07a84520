import assert from 'node:assert/strict'
import {
  constants,
  createHash,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  publicEncrypt,
  randomBytes,
  getFips,
} from 'node:crypto'
import { after, before, test } from 'node:test'
import { aesKwpWrap } from '../../src/crypto/wrap.ts'
import { ask } from '../../src/http/listening.fixture.ts'
import { ADMIN, startCloud, type Cloud } from './cloud.fixture.ts'

let cloud: Cloud

before(async () => {
  cloud = await startCloud()
  await cloud.vault('kv-one')
  await cloud.vault('kv-standard', { sku: { family: 'A', name: 'standard' } })
})
after(() => cloud.close())

const code = (status: number, inner?: string) => (error: unknown) => {
  const { statusCode, details } = error as {
    statusCode: number
    details?: { error?: { innerError?: { code: string } } }
  }
  assert.equal(statusCode, status)
  if (inner !== undefined) assert.equal(details?.error?.innerError?.code, inner)
  return true
}

test('the official client creates, reads and uses an RSA key · R06', async () => {
  const keys = cloud.keys('kv-one')
  const key = await keys.createRsaKey('rsa', { keySize: 2048, tags: { team: 'a' } })
  assert.match(key.id ?? '', new RegExp(`^${cloud.vaultUrl('kv-one')}/keys/rsa/[0-9a-f]{32}$`))
  assert.equal(key.keyType, 'RSA')
  assert.deepEqual(key.keyOperations, ['encrypt', 'decrypt', 'sign', 'verify', 'wrapKey', 'unwrapKey'])
  assert.equal(key.properties.recoveryLevel, 'Recoverable+Purgeable')
  assert.equal(key.properties.recoverableDays, 90)
  assert.equal(key.key?.n?.length, 256)
  const secret = randomBytes(64)
  const cryptography = cloud.cryptography(key)
  for (const alg of ['RSA-OAEP-256', 'RSA-OAEP'] as const) {
    const wrapped = await cryptography.wrapKey(alg, secret)
    assert.deepEqual(Buffer.from((await cryptography.unwrapKey(alg, wrapped.result)).result), secret)
    const encrypted = await cryptography.encrypt({ algorithm: alg, plaintext: secret })
    const { result } = await cryptography.decrypt({ algorithm: alg, ciphertext: encrypted.result })
    assert.deepEqual(Buffer.from(result), secret)
  }
  const digest = createHash('sha256').update('x').digest()
  for (const alg of ['RS256', 'PS256'] as const) {
    const { result } = await cryptography.sign(alg, digest)
    assert.equal((await cryptography.verify(alg, digest, result)).result, true)
    result[0]! ^= 1
    assert.equal((await cryptography.verify(alg, digest, result)).result, false)
  }
})

test('wrap and unwrap work without a version and in any letter case, and answer with the version used', async () => {
  const { id } = await cloud.keys('kv-one').createRsaKey('versionless')
  const value = randomBytes(32).toString('base64url')
  const wrapped = await cloud.call('kv-one', 'POST', '/KEYS/VERSIONLESS/WrapKey', {
    body: { alg: 'RSA-OAEP-256', value },
  })
  assert.equal(wrapped.body.kid, id)
  const body = { alg: 'RSA-OAEP-256', value: wrapped.body.value }
  const unwrapped = await cloud.call('kv-one', 'POST', '/keys/versionless//unwrapkey', { body })
  assert.equal(unwrapped.body.value, value)
})

test('ids and links are built from the host that was asked, whatever its port, in lower case', async () => {
  await cloud.vault('kv-hosts')
  for (const name of ['a', 'b']) await cloud.keys('kv-hosts').createEcKey(name)
  await cloud.call('kv-hosts', 'DELETE', '/keys/b')
  await cloud.call('kv-hosts', 'POST', '/keys/a/rotate')
  const token = await cloud.token(ADMIN)
  const get = async (host: string, path: string): Promise<string> => {
    const headers = { host, authorization: `Bearer ${token}` }
    return (await ask(cloud.server, { host: 'kv-hosts.vault.localhost', path: `${path}api-version=7.6`, headers })).body
  }
  for (const [host, origin] of [
    ['kv-hosts.vault.localhost', 'https://kv-hosts.vault.localhost'],
    ['KV-Hosts.Vault.localhost:9999', 'https://kv-hosts.vault.localhost:9999'],
    ['kv-hosts.vault.localhost.:1', 'https://kv-hosts.vault.localhost:1'],
  ] as const) {
    const body = JSON.parse(await get(host, '/keys/a?'))
    assert.ok(body.key.kid.startsWith(`${origin}/keys/a/`), body.key.kid)
    assert.equal(JSON.parse(await get(host, '/keys?')).value[0].kid, `${origin}/keys/a`)
    assert.equal(JSON.parse(await get(host, '/deletedkeys/b?')).recoveryId, `${origin}/deletedkeys/b`)
    const { nextLink } = JSON.parse(await get(host, '/keys/a/versions?maxresults=1&'))
    assert.ok(nextLink.startsWith(`${origin}/keys/a/versions?`), nextLink)
    assert.equal(JSON.parse(await get(host, '/keys/a/rotationpolicy?')).id, `${origin}/keys/a/rotationpolicy`)
  }
})

test('EC and symmetric keys of every size work through the official client', async () => {
  const keys = cloud.keys('kv-one')
  for (const [curve, alg, bytes] of [
    ['P-256', 'ES256', 32],
    ['P-384', 'ES384', 48],
    ['P-521', 'ES512', 64],
    // A FIPS provider does not have P-256K.
    ...(getFips() === 1 ? [] : ([['P-256K', 'ES256K', 32]] as const)),
  ] as const) {
    const key = await keys.createEcKey(`ec-${curve}`, { curve, hsm: curve === 'P-384' })
    assert.equal(key.keyType, curve === 'P-384' ? 'EC-HSM' : 'EC')
    const digest = randomBytes(bytes)
    const cryptography = cloud.cryptography(key.id ?? '')
    const { result } = await cryptography.sign(alg, digest)
    assert.equal((await cryptography.verify(alg, digest, result)).result, true)
  }
  for (const keySize of [128, 192, 256] as const) {
    const key = await keys.createOctKey(`oct-${keySize}`, { keySize, hsm: true })
    const cryptography = cloud.cryptography(key.id ?? '')
    const plaintext = randomBytes(48)
    const additionalAuthenticatedData = randomBytes(8)
    const sealed = await cryptography.encrypt({ algorithm: `A${keySize}GCM`, plaintext, additionalAuthenticatedData })
    const opened = await cryptography.decrypt({
      algorithm: `A${keySize}GCM`,
      ciphertext: sealed.result,
      iv: sealed.iv!,
      authenticationTag: sealed.authenticationTag!,
      additionalAuthenticatedData,
    })
    assert.deepEqual(Buffer.from(opened.result), plaintext)
    const wrapped = await cryptography.wrapKey(`A${keySize}KW`, plaintext)
    assert.deepEqual(Buffer.from((await cryptography.unwrapKey(`A${keySize}KW`, wrapped.result)).result), plaintext)
  }
})

test('a key is imported as JSON Web Key, and an incomplete one is refused by field · R06', async () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const jwk = privateKey.export({ format: 'jwk' })
  const part = Object.fromEntries(
    (['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'] as const).map(name => [name, Buffer.from(jwk[name]!, 'base64url')]),
  )
  const imported = await cloud.keys('kv-one').importKey('brought', { kty: 'RSA', ...part })
  assert.deepEqual(Buffer.from(imported.key?.n ?? []), part['n'])
  const { d: _, ...publicOnly } = jwk
  const refused = await cloud.call('kv-one', 'PUT', '/keys/half', { body: { key: publicOnly } })
  assert.equal(refused.status, 400)
  assert.match(refused.body.error.message, /field d /)
})

test('a key comes from an HSM in a transfer blob, wrapped for a key that can do nothing else · R06', async () => {
  const keys = cloud.keys('kv-one')
  const wrapping = await keys.createRsaKey('exchange', { hsm: true, keyOps: ['import'] })
  const member = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('base64url')
  const jwk = { kty: 'RSA', n: member(wrapping.key?.n), e: member(wrapping.key?.e) }
  const publicKey = createPublicKey({ key: jwk, format: 'jwk' })
  const blob = (secret: Buffer, kid = wrapping.id) => {
    const aes = randomBytes(32)
    const padding = constants.RSA_PKCS1_OAEP_PADDING
    const first = publicEncrypt({ key: publicKey, padding, oaepHash: 'sha1' }, aes)
    const ciphertext = Buffer.concat([first, aesKwpWrap(createSecretKey(aes), secret)]).toString('base64url')
    const header = { kid, alg: 'dir', enc: 'CKM_RSA_AES_KEY_WRAP' }
    return Buffer.from(JSON.stringify({ schema_version: '1.0.0', header, ciphertext, generator: 'test' }))
  }
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const secret = privateKey.export({ format: 'der', type: 'pkcs8' })
  const brought = await keys.importKey('from-hsm', { kty: 'RSA-HSM', t: blob(secret) })
  assert.equal(Buffer.from(brought.key?.n ?? []).toString('base64url'), privateKey.export({ format: 'jwk' }).n)
  for (const namedCurve of ['P-256', ...(getFips() === 1 ? [] : ['secp256k1'])]) {
    const ec = generateKeyPairSync('ec', { namedCurve }).privateKey.export({ format: 'der', type: 'pkcs8' })
    assert.equal((await keys.importKey(`hsm-${namedCurve}`, { kty: 'EC-HSM', t: blob(ec) })).keyType, 'EC-HSM')
  }
  assert.equal((await keys.importKey('hsm-oct', { kty: 'oct-HSM', t: blob(randomBytes(32)) })).keyType, 'oct-HSM')
  const other = await keys.createRsaKey('no-exchange', { hsm: true })
  await assert.rejects(keys.importKey('bad', { kty: 'RSA-HSM', t: blob(secret, other.id) }), code(400))
  await assert.rejects(
    keys.importKey('bad', { kty: 'RSA-HSM', t: blob(secret, 'https://x.vault.localhost/keys/a/b') }),
    code(400),
  )
  await assert.rejects(keys.importKey('bad', { kty: 'RSA-HSM', t: Buffer.from('{}') }), code(400))
  await assert.rejects(keys.importKey('bad', { kty: 'RSA-HSM', t: blob(randomBytes(100)) }), code(400))
  const unwrap = { alg: 'RSA-OAEP', value: Buffer.alloc(256).toString('base64url') }
  const refused = await cloud.call('kv-one', 'POST', '/keys/exchange/unwrapkey', { body: unwrap })
  assert.equal(refused.body.error.innererror.code, 'KeyOperationForbidden')
})

test('versions: the newest is what a path without version means, each can be disabled by itself · R16 R21', async () => {
  const keys = cloud.keys('kv-one')
  const first = await keys.createRsaKey('versions')
  const second = await keys.rotateKey('versions')
  assert.notEqual(first.properties.version, second.properties.version)
  assert.equal((await keys.getKey('versions')).properties.version, second.properties.version)
  await keys.updateKeyProperties('versions', first.properties.version ?? '', { enabled: false })
  await assert.rejects(keys.getKey('versions', { version: first.properties.version ?? '' }), code(403, 'KeyDisabled'))
  const wrap = { alg: 'RSA-OAEP-256', value: Buffer.alloc(32).toString('base64url') }
  const path = `/keys/versions/${first.properties.version}/wrapkey`
  const refused = await cloud.call('kv-one', 'POST', path, { body: wrap })
  assert.equal(refused.body.error.message, 'Operation wrapKey is not allowed on a disabled key.')
  assert.equal((await cloud.call('kv-one', 'POST', '/keys/versions/wrapkey', { body: wrap })).status, 200)
  const listed = []
  for await (const version of keys.listPropertiesOfKeyVersions('versions')) listed.push(version)
  assert.deepEqual(listed.map(({ enabled }) => enabled).sort(), [false, true])
})

test('key_ops and times are enforced: an expired key still unwraps, and wraps no more', async () => {
  const keys = cloud.keys('kv-one')
  await keys.createRsaKey('narrow', { keyOps: ['wrapKey'] })
  const value = Buffer.alloc(256).toString('base64url')
  const unwrap = { alg: 'RSA-OAEP-256', value }
  const forbidden = await cloud.call('kv-one', 'POST', '/keys/narrow/unwrapkey', { body: unwrap })
  assert.equal(forbidden.body.error.innererror.code, 'KeyOperationForbidden')
  assert.equal(forbidden.body.error.message, 'Operation unwrapKey is not permitted on this key.')
  await keys.createRsaKey('expired', { expiresOn: new Date(1_000_000_000_000) })
  await keys.createRsaKey('future', { notBefore: new Date(Date.now() + 3_600_000) })
  const wrap = { alg: 'RSA-OAEP-256', value: Buffer.alloc(32).toString('base64url') }
  for (const [name, inner] of [
    ['expired', 'KeyExpired'],
    ['future', 'KeyNotYetValid'],
  ]) {
    const refused = await cloud.call('kv-one', 'POST', `/keys/${name}/wrapkey`, { body: wrap })
    assert.equal(refused.status, 403)
    assert.equal(refused.body.error.innererror.code, inner)
    const tried = await cloud.call('kv-one', 'POST', `/keys/${name}/unwrapkey`, { body: unwrap })
    assert.equal(tried.status, 400, 'the text is not a ciphertext, but the key may be used')
  }
})

test('an expiry date is moved, stays where it is not named, and is removed with null', async () => {
  const keys = cloud.keys('kv-one')
  const wrap = { alg: 'RSA-OAEP-256', value: Buffer.alloc(32).toString('base64url') }
  const change = (attributes: object) => cloud.call('kv-one', 'PATCH', '/keys/ends', { body: { attributes } })
  await keys.createRsaKey('ends', { expiresOn: new Date(1_000_000_000_000) })
  assert.equal((await cloud.call('kv-one', 'POST', '/keys/ends/wrapkey', { body: wrap })).status, 403)
  const moved = await change({ exp: 4_000_000_000 })
  assert.equal(moved.body.attributes.exp, 4_000_000_000)
  const other = await change({ enabled: true })
  assert.equal(other.body.attributes.exp, 4_000_000_000)
  const cleared = await change({ exp: null })
  assert.equal(cleared.status, 200)
  assert.ok(!('exp' in cleared.body.attributes))
  assert.equal((await cloud.call('kv-one', 'POST', '/keys/ends/wrapkey', { body: wrap })).status, 200)
})

test('lists come in pages that the official client follows', async () => {
  await cloud.vault('kv-lists')
  const keys = cloud.keys('kv-lists')
  const names = Array.from({ length: 7 }, (_, index) => `key-${index}`)
  for (const name of names) await keys.createEcKey(name)
  const pages = []
  for await (const page of keys.listPropertiesOfKeys().byPage({ maxPageSize: 3 }))
    pages.push(page.map(({ name }) => name))
  assert.deepEqual(pages.flat(), names)
  const first = await cloud.call('kv-lists', 'GET', '/keys?maxresults=3')
  assert.equal(first.body.value.length, 3)
  assert.match(first.body.nextLink, /^https:\/\/kv-lists\.vault\.localhost:\d+\/keys\?api-version=7\.6&\$skiptoken=/)
  assert.equal(first.body.value[0].kid, `${cloud.vaultUrl('kv-lists')}/keys/key-0`)
  assert.equal((await cloud.call('kv-lists', 'GET', '/keys?maxresults=26')).status, 400)
  assert.equal((await cloud.call('kv-lists', 'GET', '/keys?$skiptoken=Li4v')).status, 400)
})

test('deleting covers all versions, recovering brings them back, purging is for good · R21', async () => {
  const keys = cloud.keys('kv-one')
  const { id } = await keys.createRsaKey('gone')
  const deleted = await (await keys.beginDeleteKey('gone', { intervalInMs: 1 })).pollUntilDone()
  assert.equal(deleted.properties.recoveryId, `${cloud.vaultUrl('kv-one')}/deletedkeys/gone`)
  const { scheduledPurgeDate, deletedOn } = deleted.properties
  assert.equal((scheduledPurgeDate?.getTime() ?? 0) - (deletedOn?.getTime() ?? 0), 90 * 86_400_000)
  await assert.rejects(keys.getKey('gone'), code(404))
  await assert.rejects(keys.createRsaKey('gone'), code(409, 'ObjectIsDeletedButRecoverable'))
  assert.equal((await keys.getDeletedKey('gone')).id, id)
  const recovered = await (await keys.beginRecoverDeletedKey('gone', { intervalInMs: 1 })).pollUntilDone()
  assert.equal(recovered.name, 'gone')
  assert.equal((await keys.getKey('gone')).id, id)
  await (await keys.beginDeleteKey('gone', { intervalInMs: 1 })).pollUntilDone()
  await keys.purgeDeletedKey('gone')
  await assert.rejects(keys.getDeletedKey('gone'), code(404))
  assert.notEqual((await keys.createRsaKey('gone')).id, id)
})

test('a backup restores every version, in the same subscription only and where the name is free', async () => {
  await cloud.vault('kv-restore')
  const keys = cloud.keys('kv-one')
  const first = await keys.createRsaKey('saved')
  await keys.rotateKey('saved')
  const secret = randomBytes(32)
  const wrapped = await cloud.cryptography(first).wrapKey('RSA-OAEP-256', secret)
  const backup = await keys.backupKey('saved')
  assert.ok(backup)
  await assert.rejects(keys.restoreKeyBackup(backup), code(409))
  const restored = await cloud.keys('kv-restore').restoreKeyBackup(backup)
  assert.equal(restored.name, 'saved')
  const old = await cloud.keys('kv-restore').getKey('saved', { version: first.properties.version ?? '' })
  const { result } = await cloud.cryptography(old).unwrapKey('RSA-OAEP-256', wrapped.result)
  assert.deepEqual(Buffer.from(result), secret)
  backup[backup.length - 1]! ^= 1
  await assert.rejects(cloud.keys('kv-restore').restoreKeyBackup(backup), code(400))
})

test('HSM key types need a premium vault', async () => {
  const refused = await cloud.call('kv-standard', 'POST', '/keys/k/create', { body: { kty: 'RSA-HSM' } })
  assert.equal(refused.status, 400)
  assert.match(refused.body.error.message, /premium/)
  const keys = cloud.keys('kv-one')
  assert.equal((await keys.createRsaKey('hsm', { hsm: true })).keyType, 'RSA-HSM')
  const backup = await keys.backupKey('hsm')
  assert.ok(backup)
  await assert.rejects(cloud.keys('kv-standard').restoreKeyBackup(backup), code(400))
})

test('random bytes come as many as asked', async () => {
  assert.equal((await cloud.keys('kv-one').getRandomBytes(17)).length, 17)
})

test('operations that this vault does not offer are refused by name', async () => {
  for (const [method, path] of [
    ['POST', '/keys/rsa/release'],
    ['GET', '/keys/rsa/attestation'],
  ] as const) {
    const { status, body } = await cloud.call('kv-one', method, path)
    assert.equal(status, 400)
    assert.match(body.error.message, /not supported here/)
  }
})

test('each malformed field is refused with its name', async () => {
  const create = (body: unknown) => cloud.call('kv-one', 'POST', '/keys/bad/create', { body })
  for (const [body, target] of [
    [{}, 'kty'],
    [{ kty: 'oct' }, 'kty'],
    [{ kty: 'RSA', key_size: 1024 }, 'key_size'],
    [{ kty: 'RSA', public_exponent: 2 }, 'public_exponent'],
    [{ kty: 'EC', crv: 'P-1' }, 'crv'],
    [{ kty: 'EC', key_ops: ['wrapKey'] }, 'key_ops'],
    [{ kty: 'RSA', key_ops: ['export'] }, 'key_ops'],
    [{ kty: 'RSA', attributes: { exp: 'soon' } }, 'attributes.exp'],
    [{ kty: 'RSA', attributes: { nbf: 10, exp: 5 } }, 'attributes.exp'],
    [{ kty: 'RSA', tags: { a: 1 } }, 'tags.a'],
    [{ kty: 'RSA', release_policy: {} }, 'release_policy'],
  ] as const) {
    const { status, body: answer } = await create(body)
    assert.equal(status, 400, JSON.stringify(body))
    assert.equal(answer.error.code, 'BadParameter')
    assert.equal(answer.error.target, target, JSON.stringify(answer))
  }
  assert.equal((await cloud.call('kv-one', 'POST', '/keys/bad_name/create', { body: { kty: 'RSA' } })).status, 400)
  const wrong = await cloud.call('kv-one', 'POST', '/keys/rsa/sign', { body: { alg: 'ES256', value: 'AAAA' } })
  assert.equal(wrong.body.error.target, 'alg')
})

test('many changes of one key at the same time all succeed, one after the other', async () => {
  const keys = cloud.keys('kv-one')
  await keys.createRsaKey('contended')
  const rotated = await Promise.all(Array.from({ length: 12 }, () => keys.rotateKey('contended')))
  assert.equal(new Set(rotated.map(({ properties }) => properties.version)).size, 12)
  const listed = []
  for await (const version of keys.listPropertiesOfKeyVersions('contended')) listed.push(version.version)
  assert.equal(listed.length, 13)
})
