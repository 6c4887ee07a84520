import assert from 'node:assert/strict'
import { createHash, getFips } from 'node:crypto'
import { after, before, test } from 'node:test'
import { startCloud, type Cloud, type Reply } from './cloud.fixture.ts'

/*
 * Every state of a key against every operation (Azure: about-keys-details; R12 R21). Keys begin usable, so that there is something
 * to decrypt and to verify.
 */
let cloud: Cloud

before(async () => {
  cloud = await startCloud()
  await cloud.vault('kv-states')
})
after(() => cloud.close())

const PAST = 1_000_000_000
const FUTURE = 4_000_000_000
const value = Buffer.alloc(32, 3).toString('base64url')
const digest = createHash('sha256').update('x').digest('base64url')

const STATES: Readonly<Record<string, object>> = {
  usable: {},
  disabled: { attributes: { enabled: false } },
  expired: { attributes: { exp: PAST } },
  'not yet valid': { attributes: { nbf: FUTURE } },
  'in its time': { attributes: { nbf: PAST, exp: FUTURE } },
  'without operations': { key_ops: [] },
}

/** Status, or the inner code of a 403. */
type Result = number | string
const [NO, LATE, EARLY, OP] = ['KeyDisabled', 'KeyExpired', 'KeyNotYetValid', 'KeyOperationForbidden']
const every = (result: Result, ...others: Result[]): Result[] => [result, ...others]

/** In the order of STATES. */
const EXPECTED: Readonly<Record<string, readonly Result[]>> = {
  encrypt: every(200, NO, LATE, EARLY, 200, OP),
  wrapkey: every(200, NO, LATE, EARLY, 200, OP),
  sign: every(200, NO, LATE, EARLY, 200, OP),
  decrypt: every(200, NO, 200, 200, 200, OP),
  unwrapkey: every(200, NO, 200, 200, 200, OP),
  verify: every(200, NO, 200, 200, 200, OP),
  get: every(200, NO, 200, 200, 200, 200),
  'get by version': every(200, NO, 200, 200, 200, 200),
  update: every(200, 200, 200, 200, 200, 200),
  list: every(200, 200, 200, 200, 200, 200),
  versions: every(200, 200, 200, 200, 200, 200),
  'rotation policy': every(200, 200, 200, 200, 200, 200),
  rotate: every(200, NO, 200, 200, 200, 200),
  delete: every(200, 200, 200, 200, 200, 200),
}

const KINDS: Readonly<Record<string, { key: object; cipher?: string; wrap?: string; signature?: string }>> = {
  RSA: { key: { kty: 'RSA' }, cipher: 'RSA-OAEP', wrap: 'RSA-OAEP-256', signature: 'PS256' },
  // A FIPS provider does not have P-256K.
  'EC-HSM':
    getFips() === 1
      ? { key: { kty: 'EC-HSM', crv: 'P-256' }, signature: 'ES256' }
      : { key: { kty: 'EC-HSM', crv: 'P-256K' }, signature: 'ES256K' },
  'oct-HSM': { key: { kty: 'oct-HSM', key_size: 256 }, cipher: 'A256GCM', wrap: 'A256KW' },
}

const send = (method: string, path: string, body?: object): Promise<Reply> =>
  cloud.call('kv-states', method, path, body === undefined ? {} : { body })

function resultOf({ status, body }: Reply): Result {
  return status === 403 ? body.error.innererror.code : status
}

for (const [kind, { key, cipher, wrap, signature }] of Object.entries(KINDS)) {
  test(`what a key of type ${kind} does when it is disabled, expired, not yet valid or lacks the operation · R12 R21`, async () => {
    for (const [at, [state, change]] of Object.entries(STATES).entries()) {
      const path = `/keys/${kind}-${state.replaceAll(' ', '-')}`
      const made = await send('POST', `${path}/create`, key)
      assert.equal(made.status, 200, JSON.stringify(made.body))
      const version = made.body.key.kid.split('/').at(-1)
      const calls: [string, string, string, object?][] = []
      if (cipher !== undefined) {
        const { kid: _, ...sealed } = (await send('POST', `${path}/encrypt`, { alg: cipher, value })).body
        calls.push(['encrypt', 'POST', `${path}/encrypt`, { alg: cipher, value }])
        calls.push(['decrypt', 'POST', `${path}/decrypt`, { alg: cipher, ...sealed }])
      }
      if (wrap !== undefined) {
        const wrapped = (await send('POST', `${path}/wrapkey`, { alg: wrap, value })).body.value
        calls.push(['wrapkey', 'POST', `${path}/wrapkey`, { alg: wrap, value }])
        calls.push(['unwrapkey', 'POST', `${path}/${version}/unwrapkey`, { alg: wrap, value: wrapped }])
      }
      if (signature !== undefined) {
        const signed = (await send('POST', `${path}/sign`, { alg: signature, value: digest })).body.value
        calls.push(['sign', 'POST', `${path}/sign`, { alg: signature, value: digest }])
        calls.push(['verify', 'POST', `${path}/verify`, { alg: signature, digest, value: signed }])
      }
      calls.push(['get', 'GET', path], ['get by version', 'GET', `${path}/${version}`])
      calls.push(['list', 'GET', '/keys'], ['versions', 'GET', `${path}/versions`])
      calls.push(['update', 'PATCH', path, { tags: { a: 'b' } }], ['rotation policy', 'GET', `${path}/rotationpolicy`])
      calls.push(['rotate', 'POST', `${path}/rotate`], ['delete', 'DELETE', path])
      assert.equal((await send('PATCH', path, change)).status, 200)
      for (const [operation, ...call] of calls) {
        const reply = await send(...call)
        assert.equal(resultOf(reply), EXPECTED[operation]?.[at], `${operation} of a key that is ${state}`)
        if (operation === 'verify' && reply.status === 200) assert.equal(reply.body.value, true)
      }
    }
  })
}

test('the version of the path decides, not the newest one: its state, its operations, its time · R16 R21', async () => {
  const first = (await send('POST', '/keys/several/create', { kty: 'RSA' })).body.key.kid.split('/').at(-1)
  const wrapped = (await send('POST', '/keys/several/wrapkey', { alg: 'RSA-OAEP-256', value })).body.value
  await send('POST', '/keys/several/create', { kty: 'RSA', key_ops: ['sign'] })
  const body = { alg: 'RSA-OAEP-256', value: wrapped }
  assert.equal(resultOf(await send('POST', '/keys/several/unwrapkey', body)), OP)
  assert.equal(resultOf(await send('POST', `/keys/several/${first}/unwrapkey`, body)), 200)
  await send('PATCH', `/keys/several/${first}`, { attributes: { enabled: false } })
  assert.equal(resultOf(await send('POST', `/keys/several/${first}/unwrapkey`, body)), NO)
  assert.equal(resultOf(await send('GET', '/keys/several')), 200)
  await send('PATCH', `/keys/several/${first.toUpperCase()}`, { attributes: { enabled: true } })
  assert.equal((await send('POST', `/KEYS/Several/${first.toUpperCase()}/UnwrapKey`, body)).body.value, value)
})

test('a key becomes valid and expires by the clock, to the second', async () => {
  const now = Math.floor(Date.now() / 1000)
  const day = 86_400
  await send('POST', '/keys/timed/create', { kty: 'RSA', attributes: { nbf: now + day, exp: now + 2 * day } })
  const wrapKey = async () => resultOf(await send('POST', '/keys/timed/wrapkey', { alg: 'RSA-OAEP-256', value }))
  assert.equal(await wrapKey(), EARLY)
  await cloud.advance(1.001)
  assert.equal(await wrapKey(), 200)
  await cloud.advance(1)
  assert.equal(await wrapKey(), LATE)
  await send('PATCH', '/keys/timed', { attributes: { exp: now + 10 * day } })
  assert.equal(await wrapKey(), 200)
})
