import assert from 'node:assert/strict'
import { createPrivateKey } from 'node:crypto'
import { after, before, test } from 'node:test'
import { hex, load, type Case } from '../vectors/wycheproof.ts'
import { ADMIN, startCloud, type Cloud } from './cloud.fixture.ts'

let cloud: Cloud
let token: string
let keys = 0
const imported = new Map<string, Promise<string>>()

before(async () => {
  cloud = await startCloud()
  await cloud.vault('kv-vectors')
  token = await cloud.token(ADMIN)
})
after(() => cloud.close())

const text = (bytes: string) => hex(bytes).toString('base64url')

/** The name under which a key was imported through the API; each key once. */
function importKey(id: string, key: object): Promise<string> {
  const bring = async () => {
    const name = `k${keys++}`
    const { status, body } = await cloud.call('kv-vectors', 'PUT', `/keys/${name}`, { token, body: { Hsm: true, key } })
    assert.equal(status, 200, JSON.stringify(body))
    return name
  }
  const found = imported.get(id) ?? bring()
  imported.set(id, found)
  return found
}

/** The output in hexadecimal; undefined for a refusal, which must be a clear one. */
async function use(name: string, operation: string, body: object): Promise<string | undefined> {
  const reply = await cloud.call('kv-vectors', 'POST', `/keys/${name}/${operation}`, { token, body })
  if (reply.status === 200) return Buffer.from(reply.body.value, 'base64url').toString('hex')
  assert.equal(reply.status, 400, JSON.stringify(reply.body))
  assert.equal(reply.body.error.code, 'BadParameter')
  return undefined
}

function judge(one: Case, output: string | undefined, expected: string): void {
  if (one.result === 'valid') assert.equal(output, expected, `case ${one.tcId}`)
  else if (one.result === 'invalid') assert.equal(output, undefined, `case ${one.tcId}`)
  else assert.ok(output === undefined || output === expected, `case ${one.tcId}`)
}

test('Wycheproof RSA-OAEP through decrypt and unwrapKey, with imported keys · R06', async () => {
  interface Group {
    readonly sha: string
    readonly privateKeyPkcs8: string
    readonly tests: (Case & { msg: string; ct: string; label: string })[]
  }
  let cases = 0
  for (const [file, alg] of [
    ['rsa_oaep_2048_sha1_mgf1sha1_test', 'RSA-OAEP'],
    ['rsa_oaep_2048_sha256_mgf1sha256_test', 'RSA-OAEP-256'],
  ] as const) {
    for (const { privateKeyPkcs8, tests } of load<Group>(file).testGroups) {
      const privateKey = createPrivateKey({ key: hex(privateKeyPkcs8), format: 'der', type: 'pkcs8' })
      const name = await importKey(privateKeyPkcs8, privateKey.export({ format: 'jwk' }))
      for (const one of tests) {
        // Key Vault's algorithms have no label.
        if (one.label !== '') continue
        for (const operation of ['decrypt', 'unwrapkey'])
          judge(one, await use(name, operation, { alg, value: text(one.ct) }), one.msg)
        cases++
      }
    }
  }
  assert.equal(cases, 58)
})

test('Wycheproof AES key wrap, with and without padding, through wrapKey and unwrapKey', async () => {
  interface Group {
    readonly tests: (Case & { key: string; msg: string; ct: string })[]
  }
  let cases = 0
  for (const [file, padded] of [
    ['aes_wrap_test', false],
    ['aes_kwp_test', true],
  ] as const) {
    for (const { tests } of load<Group>(file).testGroups) {
      for (const one of tests) {
        const alg = padded ? 'CKM_AES_KEY_WRAP_PAD' : `A${one.key.length * 4}KW`
        const name = await importKey(one.key, { kty: 'oct', k: text(one.key) })
        judge(one, await use(name, 'unwrapkey', { alg, value: text(one.ct) }), one.msg)
        if (one.result === 'valid') judge(one, await use(name, 'wrapkey', { alg, value: text(one.msg) }), one.ct)
        cases++
      }
    }
  }
  assert.equal(cases, load('aes_wrap_test').numberOfTests + load('aes_kwp_test').numberOfTests)
})

test('Wycheproof AES-GCM through decrypt', async () => {
  interface Group {
    readonly tests: (Case & { key: string; iv: string; aad: string; msg: string; ct: string; tag: string })[]
  }
  let cases = 0
  for (const { tests } of load<Group>('aes_gcm_test').testGroups) {
    for (const one of tests) {
      // Key Vault takes 96-bit IVs and 128-bit tags only.
      const taken = one.iv.length === 24 && one.tag.length === 32
      const name = await importKey(one.key, { kty: 'oct', k: text(one.key) })
      const body = { value: text(one.ct), iv: text(one.iv), aad: text(one.aad), tag: text(one.tag) }
      const output = await use(name, 'decrypt', { alg: `A${one.key.length * 4}GCM`, ...body })
      if (taken) judge(one, output, one.msg)
      else assert.equal(output, undefined)
      cases++
    }
  }
  assert.equal(cases, load('aes_gcm_test').numberOfTests)
})
