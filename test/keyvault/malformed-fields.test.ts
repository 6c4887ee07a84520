import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { after, before, test } from 'node:test'
import { ADMIN, startCloud, TENANT, type Cloud } from './cloud.fixture.ts'

let cloud: Cloud

before(async () => {
  cloud = await startCloud()
  await cloud.vault('kv-main')
  await cloud.call('kv-main', 'POST', '/keys/rsa/create', { body: { kty: 'RSA' } })
  await cloud.call('kv-main', 'POST', '/keys/oct/create', { body: { kty: 'oct-HSM' } })
})
after(() => cloud.close())

const value = Buffer.alloc(32, 1).toString('base64url')
const common = { attributes: { enabled: true, nbf: 1, exp: 2 }, tags: { a: 'b' } }
const crypto = { alg: 'A256GCM', value, iv: value.slice(0, 16), aad: value, tag: value.slice(0, 22) }
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })
const key_ops = ['sign']

/** A body with every field of each operation. */
const OPERATIONS: readonly (readonly [string, string, object])[] = [
  ['POST', '/keys/new/create', { kty: 'RSA', key_size: 2048, public_exponent: 65_537, key_ops, ...common }],
  ['POST', '/keys/new/create', { kty: 'EC', crv: 'P-256', ...common }],
  ['PUT', '/keys/new', { Hsm: false, key: { ...rsa, key_ops }, ...common }],
  ['PUT', '/keys/new', { Hsm: true, key: { ...ec, key_ops }, ...common }],
  ['PUT', '/keys/new', { Hsm: true, key: { kty: 'oct', k: value, key_ops: ['encrypt'] }, ...common }],
  ['PATCH', '/keys/rsa', { key_ops, ...common }],
  ...['encrypt', 'decrypt', 'wrapkey', 'unwrapkey'].map(
    operation => ['POST', `/keys/oct/${operation}`, crypto] as const,
  ),
  ['POST', '/keys/rsa/sign', { alg: 'RS256', value }],
  ['POST', '/keys/rsa/verify', { alg: 'RS256', digest: value, value }],
  [
    'PUT',
    '/keys/rsa/rotationpolicy',
    {
      lifetimeActions: [
        { trigger: { timeAfterCreate: 'P30D', timeBeforeExpiry: null }, action: { type: 'Rotate' } },
        { trigger: { timeAfterCreate: null, timeBeforeExpiry: 'P30D' }, action: { type: 'Notify' } },
      ],
      attributes: { expiryTime: 'P90D' },
    },
  ],
  ['POST', '/keys/restore', { value }],
  ['POST', '/rng', { count: 8 }],
]

/** Every path to a member of a body. */
function pathsIn(body: unknown, path: readonly string[] = []): string[][] {
  if (typeof body !== 'object' || body === null) return [[...path]]
  const inner = Object.entries(body).flatMap(([name, member]) => pathsIn(member, [...path, name]))
  return path.length === 0 ? inner : [[...path], ...inner]
}

function replaced(body: unknown, [name, ...rest]: readonly string[], by: unknown): unknown {
  if (name === undefined) return by
  const copy = (Array.isArray(body) ? [...(body as unknown[])] : { ...(body as object) }) as Record<string, unknown>
  copy[name] = replaced(copy[name], rest, by)
  return copy
}

/** Values of wrong types and, for text fields, invalid texts. */
const WRONG: readonly unknown[] = [{ wrong: [] }, [[1]], -1.5, '\u0000 no such value ä']

test('each malformed field of each operation is refused with 400 BadParameter and its name', async () => {
  let tried = 0
  for (const [method, path, body] of OPERATIONS) {
    for (const field of pathsIn(body)) {
      for (const wrong of WRONG) {
        if (fits(body, field, wrong)) continue
        const reply = await cloud.call('kv-main', method, path, { body: replaced(body, field, wrong) })
        const where = `${method} ${path} ${field.join('.')} = ${JSON.stringify(wrong)}: ${JSON.stringify(reply.body)}`
        assert.equal(reply.status, 400, where)
        assert.equal(reply.body.error.code, 'BadParameter', where)
        const { target } = reply.body.error
        const named = typeof target === 'string' ? target.split('.') : []
        assert.ok(named.length > 0 && (isPrefix(named, field) || isPrefix(field, named)), where)
        tried += 1
      }
    }
  }
  assert.ok(tried > 400, String(tried))
})

const policies = [
  {
    tenantId: TENANT,
    objectId: ADMIN,
    applicationId: ADMIN,
    permissions: { keys: ['get'], secrets: ['list'], certificates: ['get'], storage: ['set'] },
  },
]
const vaultBody = {
  location: 'eastus',
  tags: { a: 'b' },
  properties: {
    tenantId: TENANT,
    sku: { family: 'A', name: 'premium' },
    accessPolicies: policies,
    enabledForDeployment: true,
    enabledForDiskEncryption: false,
    enabledForTemplateDeployment: true,
    enableSoftDelete: true,
    softDeleteRetentionInDays: 90,
    enableRbacAuthorization: false,
    enablePurgeProtection: true,
    createMode: 'default',
    networkAcls: {
      bypass: 'AzureServices',
      defaultAction: 'Allow',
      ipRules: [{ value: '192.0.2.0/24' }],
      virtualNetworkRules: [{ id: '/subscriptions/s/x' }],
    },
    publicNetworkAccess: 'Enabled',
  },
}
const storageAccountId = '/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/logs'
const setting = { properties: { storageAccountId, logs: [{ category: 'AuditEvent', enabled: true }] } }
const VAULT = '/providers/Microsoft.KeyVault/vaults/kv-main'

/** Of Resource Manager, below the group. A vault's location is checked for being one of this cloud's, by a code of its own. */
const MANAGEMENT: readonly (readonly [string, string, object, string?])[] = [
  ['PUT', VAULT.replace('kv-main', 'kv-fields'), vaultBody],
  ['PUT', VAULT, vaultBody],
  ['PATCH', VAULT, { tags: vaultBody.tags, properties: vaultBody.properties }],
  ['PUT', `${VAULT}/accessPolicies/add`, { properties: { accessPolicies: policies } }],
  ['PUT', `${VAULT}/providers/Microsoft.Insights/diagnosticSettings/s`, setting, '2021-05-01-preview'],
]

test('each malformed field of a vault, of its policies, its firewall and its settings is refused with 400 and its name', async () => {
  let tried = 0
  for (const [method, below, body, version = '2023-07-01'] of MANAGEMENT) {
    const path = `${cloud.vaultId('x').replace(/\/providers.*/, '')}${below}`
    for (const field of pathsIn(body)) {
      for (const wrong of [...WRONG, '']) {
        if (fits(body, field, wrong) || mayBeEmpty(field, wrong) || mayBeAnyText(field, wrong)) continue
        const reply = await cloud.arm(method, path, { body: replaced(body, field, wrong), version })
        const where = `${method} ${below} ${field.join('.')} = ${JSON.stringify(wrong)}: ${JSON.stringify(reply.body)}`
        if (field[0] === 'location' && reply.status === 409) continue
        assert.equal(reply.status, 400, where)
        const { target } = reply.body.error
        const named = typeof target === 'string' ? target.split('.') : []
        assert.ok(named.length > 0 && (isPrefix(named, field) || isPrefix(field, named)), where)
        tried += 1
      }
    }
  }
  assert.ok(tried > 400, String(tried))
})

function mayBeEmpty(field: readonly string[], wrong: unknown): boolean {
  return wrong === '' && (field[0] === 'tags' || field.at(-1) === 'publicNetworkAccess')
}

/** Ids of networks are not checked. */
function mayBeAnyText(field: readonly string[], wrong: unknown): boolean {
  return typeof wrong === 'string' && wrong !== '' && field.at(-1) === 'id'
}

/** Unknown members of objects are ignored, and a tag may be any text. */
function fits(body: object, field: readonly string[], wrong: unknown): boolean {
  const isTag = field[0] === 'tags' && field.length === 2
  if (typeof wrong === 'string') return isTag
  const isObject = (one: unknown): boolean => typeof one === 'object' && one !== null && !Array.isArray(one)
  const present = field.reduce<unknown>((one, name) => (one as Record<string, unknown>)[name], body)
  return isObject(wrong) && isObject(present) && field[0] !== 'tags'
}

/** A wrong list is named itself, or by its first item. */
function isPrefix(a: readonly string[], b: readonly string[]): boolean {
  return a.every((name, index) => b[index] === name || /^\d+$/.test(b[index] ?? ''))
}

test('a field with the right form but wrong content is named too', async () => {
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })
  const short = value.slice(0, 8)
  const digest = { alg: 'RS256', digest: short, value }
  for (const [method, path, body, target] of [
    ['PUT', '/keys/new', { key: { ...rsa, d: undefined } }, 'key.d'],
    ['PUT', '/keys/new', { key: { ...rsa, dp: rsa.dq } }, 'key'],
    ['PUT', '/keys/new', { key: { ...ec, x: short } }, 'key.x'],
    ['PUT', '/keys/new', { key: { ...ec, d: Buffer.alloc(32).toString('base64url') } }, 'key.d'],
    ['PUT', '/keys/new', { key: { ...ec, d: other.d } }, 'key'],
    ['PUT', '/keys/new', { Hsm: true, key: { kty: 'oct', k: short } }, 'key.k'],
    ['PUT', '/keys/new', { key: { kty: 'RSA-HSM', key_hsm: value } }, 'key.key_hsm'],
    ['POST', '/keys/oct/encrypt', { alg: 'A256GCM', value, iv: value }, 'iv'],
    ['POST', '/keys/oct/encrypt', { alg: 'A256CBC', value, iv: short }, 'iv'],
    ['POST', '/keys/oct/encrypt', { alg: 'A256CBC', value, aad: value }, 'aad'],
    ['POST', '/keys/oct/encrypt', { alg: 'A256CBC', value: short }, 'value'],
    ['POST', '/keys/oct/decrypt', { alg: 'A256GCM', value, iv: value.slice(0, 16), tag: short }, 'tag'],
    ['POST', '/keys/oct/wrapkey', { alg: 'A256KW', value: short }, 'value'],
    ['POST', '/keys/rsa/sign', { alg: 'RS256', value: short }, 'value'],
    ['POST', '/keys/rsa/sign', { alg: 'ES256', value }, 'alg'],
    ['POST', '/keys/rsa/verify', digest, 'digest'],
    ['POST', '/keys/rsa/unwrapkey', { alg: 'RSA-OAEP-256', value }, 'value'],
  ] as const) {
    const reply = await cloud.call('kv-main', method, path, { body })
    const where = `${method} ${path} ${JSON.stringify(reply.body)}`
    assert.deepEqual([reply.status, reply.body.error?.target], [400, target], where)
  }
})

test('each malformed query parameter and name is refused with 400 BadParameter and its name', async () => {
  for (const [path, target, version] of [
    ['/keys?maxresults=0', 'maxresults'],
    ['/keys?maxresults=26', 'maxresults'],
    ['/keys?maxresults=many', 'maxresults'],
    ['/deletedkeys?maxresults=-1', 'maxresults'],
    ['/keys/rsa/versions?maxresults=1.5', 'maxresults'],
    ['/keys?$skiptoken=Li4v', '$skiptoken'],
    ['/keys/no_such_name', 'key-name'],
    [`/keys/${'a'.repeat(128)}`, 'key-name'],
    ['/keys', 'api-version', null],
    ['/keys', 'api-version', '6.0'],
    ['/keys', 'api-version', '7.6x'],
  ] as const) {
    const { status, body } = await cloud.call('kv-main', 'GET', path, {
      version: version === undefined ? '7.6' : version,
    })
    assert.equal(status, 400, path)
    assert.deepEqual([body.error.code, body.error.target], ['BadParameter', target], path)
  }
})

test('a body that is not a JSON object is refused by every operation that takes one', async () => {
  for (const [method, path] of OPERATIONS) {
    for (const body of ['', '{', '[]', 'null', '"text"', '7', '{"a":1}{', '\u0000', '{"__proto__":{"kty":"RSA"}}']) {
      const reply = await cloud.call('kv-main', method, path, { body })
      const isPatchOfNothing = ['/keys/rsa', '/keys/rsa/rotationpolicy'].includes(path) && body.includes('__proto__')
      if (!isPatchOfNothing) assert.equal(reply.status, 400, `${method} ${path} ${body}`)
    }
  }
})
