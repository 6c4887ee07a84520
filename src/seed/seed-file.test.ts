import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { parse, stringify } from 'yaml'
import { z } from 'zod'
import { parseSeed } from './seed-file.ts'
import { seedFile } from './seed-schema.ts'

/** What is wrong with the text, each as `line: field: message`. */
function problems(text: string, environment: Record<string, string> = {}): string[] {
  try {
    parseSeed('cloud.yaml', text, environment)
    return []
  } catch (error) {
    const [summary = '', ...lines] = (error as Error).message.split('\n')
    assert.match(summary, /^There (is a problem|are \d+ problems) with the seed file; nothing was made\.$/)
    return lines.map(line => line.replace(/^cloud\.yaml:/, ''))
  }
}

const vault = (...lines: string[]): string =>
  [
    'subscriptions:',
    '  - displayName: s',
    '    resourceGroups:',
    '      - name: g',
    '        vaults:',
    '          - name: kv-one',
    ...lines.map(line => `            ${line}`),
  ].join('\n')
const account = (...lines: string[]): string =>
  vault('keys: [{ name: k }]') +
  ['', '        accounts:', '          - name: acc', ...lines.map(line => `            ${line}`)].join('\n')
const V = 'subscriptions[0].resourceGroups[0].vaults[0]'
const A = 'subscriptions[0].resourceGroups[0].accounts[0]'

const TABLE: readonly [what: string, text: string, expected: readonly (string | RegExp)[]][] = [
  ['no YAML', 'a: [1', [/^1: not valid YAML: /]],
  ['a field twice', 'users: []\nusers: []', ['2: not valid YAML: Map keys must be unique']],
  ['an unknown tag', 'users: !!js/function x', [/^1: not valid YAML: Unresolved tag/]],
  ['two documents', 'users: []\n---\nusers: []', [/^\d: not valid YAML: .*multiple documents/]],
  ['no fields', '- users', ["1: the file must have fields ('name: value' lines), for example subscriptions"]],
  ['a field of another name', 'user: []', ['1: user: there is no such field here; did you mean users?']],
  [
    'a field of no name here',
    'vaults: []',
    ['1: vaults: there is no such field here; the fields are models, users, applications, subscriptions, tenants.'],
  ],
  [
    'a base model from nowhere, with a digest that is none, and one of its name',
    'models:\n  - name: a\n    sha256: x\n  - { name: A, file: a.gguf, source: smollm2 }\n  - { name: b, source: "http://x/b.gguf" }',
    [
      '2: models[0]: must have a file of this machine or a source, and not both',
      '3: models[0].sha256: must be 64 hexadecimal digits',
      '4: models[1]: must have a file of this machine or a source, and not both',
      "4: models[1].name: 'a' is there already, above: give another",
      '5: models[2].source: must be smollm2, hf:OWNER/REPO:QUANT or an https address',
    ],
  ],
  ['fields where a list is due', 'users: { name: x }', ["1: users: must be a list ('- ' lines), not fields"]],
  ['text where fields are due', 'users: [ada]', ["1: users[0]: must be fields ('name: value' lines), not 'ada'"]],
  ['nothing where a list is due', 'users:', ["1: users: is missing: give a list ('- ' lines)"]],
  [
    'a missing name',
    'subscriptions:\n  - resourceGroups: []',
    ['2: subscriptions[0].displayName: is missing: give text'],
  ],
  [
    'a number for a name',
    'subscriptions:\n  - displayName: 2026',
    ['2: subscriptions[0].displayName: must be text, not 2026; put it in quotes'],
  ],
  [
    'a name that is too long',
    `applications:\n  - displayName: ${'x'.repeat(300)}`,
    ['2: applications[0].displayName: must have at most 256 characters'],
  ],
  [
    'a name that no vault can have',
    vault().replace('kv-one', 'kv--one'),
    [`6: ${V}.name: must be 3 to 24 letters, digits and single '-', a letter first, no '-' last`],
  ],
  [
    'another kind of key',
    vault('keys:', '  - name: k', '    kty: DSA'),
    [`9: ${V}.keys[0].kty: must be one of RSA, RSA-HSM, EC, EC-HSM, oct-HSM, not 'DSA'`],
  ],
  [
    'too many versions',
    vault('keys:', '  - { name: k, versions: 1000 }'),
    [`8: ${V}.keys[0].versions: must be at most 100`],
  ],
  [
    'half a version',
    vault('keys:', '  - { name: k, versions: 1.5 }'),
    [`8: ${V}.keys[0].versions: must be a whole number, not 1.5`],
  ],
  [
    'a duration of nothing',
    vault(
      'keys:',
      '  - name: k',
      '    rotationPolicy:',
      '      lifetimeActions:',
      '        - trigger: { timeAfterCreate: 90 days }',
      '          action: { type: Rotate }',
    ),
    [
      `11: ${V}.keys[0].rotationPolicy.lifetimeActions[0].trigger.timeAfterCreate: must be an ISO 8601 duration such as 'P90D'`,
    ],
  ],
  [
    'a time of nothing',
    vault('keys:', '  - name: k', '    attributes: { exp: tomorrow }'),
    [`9: ${V}.keys[0].attributes.exp: must be a time such as '2027-01-31T00:00:00Z'`],
  ],
  [
    'an unknown permission',
    vault('accessPolicies:', '  - administrator: user', '    keys: [get, wrap]'),
    [
      new RegExp(
        `^9: ${RegExp.escape(V)}\\.accessPolicies\\[0\\]\\.keys\\[1\\]: must be one of all, backup, .*, wrapKey, not 'wrap'$`,
      ),
    ],
  ],
  [
    'a policy for nobody',
    vault('accessPolicies:', '  - keys: [get]'),
    [
      `8: ${V}.accessPolicies[0]: must name one principal: exactly one of user, application, identity, administrator, objectId`,
    ],
  ],
  [
    'a policy for two',
    vault(
      'accessPolicies:',
      '  - administrator: user',
      '    objectId: 6fd1ba1c-2c24-4b0c-9d8c-0d6a0f0f7a11',
      '    keys: [get]',
    ),
    [
      `8: ${V}.accessPolicies[0]: must name one principal: exactly one of user, application, identity, administrator, objectId`,
    ],
  ],
  [
    'a policy for nobody of the file',
    vault('accessPolicies:', '  - user: bob', '    keys: [get]'),
    [
      `8: ${V}.accessPolicies[0].user: there is no user 'bob' in this tenant of the file: add it under users, or give the objectId of one that is there`,
    ],
  ],
  [
    'a policy for no account',
    vault('accessPolicies:', '  - identity: acc', '    keys: [get]'),
    [`8: ${V}.accessPolicies[0].identity: there is no account 'acc' in this tenant of the file`],
  ],
  [
    'policies in a vault with roles',
    vault('enableRbacAuthorization: true', 'accessPolicies:', '  - administrator: user', '    keys: [get]'),
    [
      `8: ${V}.accessPolicies: do not count in a vault with enableRbacAuthorization: take them out and use roleAssignments, or turn it off`,
    ],
  ],
  [
    'purge protection off',
    vault('enablePurgeProtection: false'),
    [`7: ${V}.enablePurgeProtection: must be true: leave it out to have no purge protection, for once on it stays`],
  ],
  [
    'days of retention',
    vault('softDeleteRetentionInDays: 5'),
    [`7: ${V}.softDeleteRetentionInDays: must be at least 7`],
  ],
  [
    'a firewall against oneself',
    vault('networkAcls:', '  defaultAction: Deny', 'keys: [{ name: k }]'),
    [
      `8: ${V}.networkAcls.defaultAction: keeps the administrator from making the vault's keys: add '127.0.0.1' to ipRules (and '::1' for other programs of this machine)`,
    ],
  ],
  [
    'no address',
    vault('networkAcls:', '  defaultAction: Deny', '  ipRules: [{ value: 10.0.0 }]'),
    [`9: ${V}.networkAcls.ipRules[0].value: must be an address or a range such as '203.0.113.0/24'`],
  ],
  [
    'an unknown role',
    vault('roleAssignments:', '  - { administrator: user, role: King }'),
    [
      new RegExp(
        `^8: ${RegExp.escape(V)}\\.roleAssignments\\[0\\]\\.role: must be one of Owner, Contributor, .*, not 'King'$`,
      ),
    ],
  ],
  [
    'a key of no vault',
    account('identity: { type: SystemAssigned }', 'encryption: { vault: kv-two, key: k }'),
    [`11: ${A}.encryption.vault: there is no vault 'kv-two' in the file`],
  ],
  [
    'a key that the vault has not',
    account('identity: { type: SystemAssigned }', 'encryption: { vault: kv-one, key: other }'),
    [`11: ${A}.encryption.key: the vault 'kv-one' of the file has no key 'other'`],
  ],
  [
    'a key without an identity',
    account('encryption: { vault: kv-one, key: k }'),
    [
      `10: ${A}.encryption.vault: a key of a vault needs the account's identity: give the account 'identity: { type: SystemAssigned }'`,
    ],
  ],
  [
    'half a key',
    account('identity: { type: SystemAssigned }', 'encryption: { vault: kv-one }'),
    [
      `11: ${A}.encryption: must name a vault and a key of this file; or be only 'keySource: Microsoft.CognitiveServices'`,
    ],
  ],
  [
    'a version of nothing',
    account('identity: { type: SystemAssigned }', 'encryption: { vault: kv-one, key: k, keyVersion: latest }'),
    [
      `11: ${A}.encryption.keyVersion: must be 'newest' or the version's 32 hex digits; left out, the account follows the key's rotation`,
    ],
  ],
  [
    'a user-assigned identity',
    account('identity: { type: UserAssigned }'),
    [`10: ${A}.identity.type: must be one of SystemAssigned, None, not 'UserAssigned'`],
  ],
  [
    'one name twice',
    'users:\n  - userPrincipalName: ada\n  - userPrincipalName: ADA',
    ["3: users[1].userPrincipalName: 'ada' is there already, above: give another"],
  ],
  [
    'one vault in two tenants',
    `${vault()}\ntenants:\n  - displayName: t\n    subscriptions:\n      - displayName: s\n        resourceGroups:\n          - name: g\n            vaults:\n              - name: kv-ONE`,
    [
      "14: tenants[0].subscriptions[0].resourceGroups[0].vaults[0].name: 'kv-one' is there already, above: give another",
    ],
  ],
  [
    'a password in the file',
    'users:\n  - userPrincipalName: ada\n    password: x',
    ['3: users[0].password: there is no such field here; the fields are userPrincipalName, displayName, passwordEnv.'],
  ],
  [
    'a variable that is not set',
    'users:\n  - userPrincipalName: ada\n    passwordEnv: ADA_PASSWORD',
    ['3: users[0].passwordEnv: the environment variable ADA_PASSWORD is not set: set it to the password'],
  ],
  [
    'a person of another tenant',
    'tenants:\n  - displayName: t\n    subscriptions:\n      - displayName: s\n        roleAssignments:\n          - { administrator: user, role: Reader }',
    [
      "6: tenants[0].subscriptions[0].roleAssignments[0].administrator: only the first tenant has a person who administers it: use 'application'",
    ],
  ],
]

for (const [what, text, expected] of TABLE)
  test(`a seed file is refused, with line and field, for ${what}`, () => {
    const found = problems(text)
    assert.equal(found.length, expected.length, found.join('\n'))
    for (const [index, wanted] of expected.entries())
      if (typeof wanted === 'string') assert.equal(found[index], wanted)
      else assert.match(found[index] ?? '', wanted)
  })

test('all problems of a seed file are told at once, in the order of its lines', () => {
  const text = `${vault('skuu: x', 'keys: [{ name: 1 }]', 'accessPolicies:', '  - user: bob', '    keys: [fly]')}\nusers:\n  - passwordEnv: NONE`
  const lines = problems(text).map(line => Number(line.split(':')[0]))
  assert.deepEqual(lines, [7, 8, 10, 11, 13, 13])
})

test('an empty seed file is valid, and problems in anchors and merged lines have their own line', () => {
  assert.deepEqual(problems(''), [])
  assert.deepEqual(problems('users:\n  - &a { userPrincipalName: ada, nick: x }\n'), [
    '2: users[0].nick: there is no such field here; the fields are userPrincipalName, displayName, passwordEnv.',
  ])
})

test('a few lines of aliases that expand to millions are refused', () => {
  const levels = Array.from(
    { length: 9 },
    (_, level) =>
      `l${level}: &l${level} [${Array.from({ length: 9 }, () => (level === 0 ? 'x' : `*l${level - 1}`)).join(', ')}]`,
  )
  assert.throws(
    () => parseSeed('cloud.yaml', levels.join('\n'), {}),
    /nothing was made\.\ncloud\.yaml:1: aliases .* can't be followed/,
  )
})

test('the example is valid and has every field', async () => {
  const example = await readFile(new URL('../../examples/seed.yaml', import.meta.url), 'utf8')
  assert.deepEqual(problems(example), [])
  const schema = z.toJSONSchema(seedFile, { io: 'input', unrepresentable: 'any' })
  const lost = [...fieldsOf(schema as Schema)].filter(name => !new RegExp(`\\b${name}:`).test(example))
  assert.deepEqual(lost, [])
})

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
}

function* fieldsOf({ properties = {}, items }: Schema): Generator<string> {
  if (items !== undefined) yield* fieldsOf(items)
  for (const [name, inner] of Object.entries(properties)) {
    yield name
    yield* fieldsOf(inner)
  }
}

test('for any content of a seed file, the result is a seed or a list of problems with lines', () => {
  const good = account(
    'identity: { type: SystemAssigned }',
    'encryption: { vault: kv-one, key: k }',
    'deployments: [{ name: d, model: m }]',
  )
  const places = placesIn(parse(good))
  fc.assert(
    fc.property(fc.constantFrom(...places), fc.jsonValue({ maxDepth: 3 }), fc.boolean(), (place, value, rename) => {
      const content: unknown = parse(good)
      const parent = place
        .slice(0, -1)
        .reduce<Record<string, unknown>>(
          (at, part) => at[part] as Record<string, unknown>,
          content as Record<string, unknown>,
        )
      const last = place.at(-1) ?? ''
      if (rename) delete parent[last]
      parent[rename ? JSON.stringify(value).slice(0, 60) : last] = value
      for (const line of problems(stringify(content))) assert.match(line, /^\d+: /)
    }),
    { numRuns: 2000 },
  )
})

function placesIn(value: unknown, at: readonly string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, inner]) => [[...at, name], ...placesIn(inner, [...at, name])])
}

test('passwords come from the environment', () => {
  assert.deepEqual(problems('users:\n  - userPrincipalName: ada\n    passwordEnv: ADA', { ADA: 'secret' }), [])
})
