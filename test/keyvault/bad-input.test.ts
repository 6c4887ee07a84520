import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import * as fc from 'fast-check'
import { keyMaterial } from '../../src/keyvault/key-record.ts'
import { policy, startCloud, USER, type Cloud } from './cloud.fixture.ts'

let cloud: Cloud
let token: string
const BATCH = 16

before(async () => {
  cloud = await startCloud()
  await cloud.vault('kv-fuzz')
  await cloud.keys('kv-fuzz').createRsaKey('k')
  await cloud.keys('kv-fuzz').createOctKey('o', { hsm: true })
  token = await cloud.token('bbbbbbbb-0000-4000-8000-000000000001')
})
after(() => cloud.close())

interface Template {
  readonly method: string
  readonly path: string
  readonly body?: object
}

const value = randomBytes(32).toString('base64url')
const TEMPLATES: readonly Template[] = [
  { method: 'POST', path: '/keys/new/create', body: { kty: 'EC', crv: 'P-256', key_ops: ['sign'], tags: { a: 'b' } } },
  {
    method: 'POST',
    path: '/keys/new/create',
    body: { kty: 'oct-HSM', key_size: 256, attributes: { enabled: true, nbf: 1, exp: 2 } },
  },
  { method: 'PUT', path: '/keys/brought', body: { Hsm: true, key: { kty: 'oct', k: value, key_ops: ['encrypt'] } } },
  {
    method: 'PATCH',
    path: '/keys/k',
    body: { key_ops: ['sign', 'unwrapKey'], attributes: { enabled: true }, tags: {} },
  },
  { method: 'POST', path: '/keys/k/wrapkey', body: { alg: 'RSA-OAEP-256', value } },
  {
    method: 'POST',
    path: '/keys/k/unwrapkey',
    body: { alg: 'RSA-OAEP-256', value: randomBytes(256).toString('base64url') },
  },
  {
    method: 'POST',
    path: '/keys/o/encrypt',
    body: { alg: 'A256CBCPAD', value, iv: randomBytes(16).toString('base64url') },
  },
  { method: 'POST', path: '/keys/o/decrypt', body: { alg: 'A256GCM', value, iv: value, aad: value, tag: value } },
  { method: 'POST', path: '/keys/k/sign', body: { alg: 'PS256', value } },
  { method: 'POST', path: '/keys/k/verify', body: { alg: 'RS256', digest: value, value } },
  {
    method: 'PUT',
    path: '/keys/k/rotationpolicy',
    body: {
      lifetimeActions: [{ trigger: { timeAfterCreate: 'P30D' }, action: { type: 'Rotate' } }],
      attributes: { expiryTime: 'P90D' },
    },
  },
  { method: 'POST', path: '/keys/restore', body: { value: randomBytes(200).toString('base64url') } },
  { method: 'POST', path: '/rng', body: { count: 16 } },
  { method: 'GET', path: '/keys?maxresults=5&$skiptoken=YQ' },
  { method: 'GET', path: '/keys/k/versions?maxresults=1' },
]

/** Replaces, drops or doubles one member somewhere in a JSON value. */
function mutate(body: unknown, at: number, replacement: unknown): unknown {
  let left = at
  const walk = (one: unknown): unknown => {
    if (left-- === 0) return replacement
    if (Array.isArray(one)) return one.map(walk)
    if (typeof one !== 'object' || one === null) return one
    return Object.fromEntries(Object.entries(one).map(([name, member]) => [name, walk(member)]))
  }
  return walk(body)
}

const replacement = fc.oneof(
  fc.constantFrom(null, undefined, '', ' ', '\0', '../..', 'RSA', -1, 0, 1.5, 2 ** 53, 1e308, true, [], {}, [[]]),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.base64String({ maxLength: 80 }),
  fc.integer(),
  fc.anything({ maxDepth: 2, withBigInt: false, withDate: false }),
)
const segment = fc.oneof(
  fc.constantFrom('', '.', '%00', '%2F', '%', '-', 'K', 'a'.repeat(200), '%F0%9F'),
  fc.stringMatching(/^[\w%~;:@!$&'()*+,=-]{0,20}$/),
)

const mutation = fc.record({
  template: fc.constantFrom(...TEMPLATES),
  at: fc.nat(12),
  replacement,
  path: fc.option(fc.record({ at: fc.nat(4), segment }), { freq: 3 }),
  cut: fc.option(fc.nat(60), { freq: 6 }),
})

test(
  'mutated requests get a clear refusal or work: no 5xx, no hang, no key material in an answer',
  { timeout: 180_000 },
  async () => {
    const statuses = new Map<number, number>()
    const secrets = (await cloud.records.list(keyMaterial)).map(({ value: { sealed } }) => sealed.slice(0, 40))
    await fc.assert(
      fc.asyncProperty(fc.array(mutation, { minLength: BATCH, maxLength: BATCH }), async batch => {
        await Promise.all(
          batch.map(async one => {
            const { status, text } = await send(one)
            statuses.set(status, (statuses.get(status) ?? 0) + 1)
            assert.ok(status < 500, `${status} ${text}`)
            if (status >= 400) assert.match(text, /"code":"[^"]+","message":"[^"]+/, text)
            assert.equal(/PRIVATE KEY|at .*\.ts:\d/.test(text), false, text)
            for (const secret of secrets) assert.equal(text.includes(secret), false)
          }),
        )
      }),
      { numRuns: Math.ceil(10_000 / BATCH) },
    )
    assert.ok((statuses.get(200) ?? 0) > 100 && (statuses.get(400) ?? 0) > 1000, JSON.stringify([...statuses]))
  },
)

async function send(
  one: typeof mutation extends fc.Arbitrary<infer T> ? T : never,
): Promise<{ status: number; text: string }> {
  const { template, at, path, cut } = one
  const mutated = template.body === undefined ? undefined : JSON.stringify(mutate(template.body, at, one.replacement))
  const body = cut === null || mutated === undefined ? mutated : mutated.slice(0, cut)
  const segments = template.path.split('/')
  if (path !== null) segments[1 + (path.at % (segments.length - 1))] = path.segment
  const reply = await cloud.call('kv-fuzz', template.method, segments.join('/'), {
    token,
    ...(body === undefined ? {} : { body }),
  })
  return { status: reply.status, text: JSON.stringify(reply.body ?? '') }
}

test('access policies that are too many or too large are refused', async () => {
  const many = Array.from({ length: 1025 }, (_, index) => policy(`${USER}-${index}`, 'get'))
  assert.equal((await cloud.vault('kv-many', { accessPolicies: many })).status, 400)
  const huge = await cloud.vault('kv-huge', { accessPolicies: [policy('x'.repeat(3_000_000), 'get')] })
  assert.equal(huge.status, 413)
})
