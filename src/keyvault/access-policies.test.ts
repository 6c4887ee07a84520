import assert from 'node:assert/strict'
import { test } from 'node:test'
import { updatedPolicies } from './access-policies.ts'
import { KEY_PERMISSIONS } from './permissions.ts'
import { OBJECT, policyFor } from './vault.fixture.ts'

const keysOf = (policies: ReturnType<typeof updatedPolicies>) => policies.map(({ permissions }) => permissions.keys)

test('removing one permission from all leaves every other one, so a revocation always has an effect · R19', () => {
  const [policy] = updatedPolicies([policyFor(OBJECT, ['all'])], 'remove', [policyFor(OBJECT, ['unwrapKey'])])
  assert.deepEqual(
    policy?.permissions.keys,
    KEY_PERMISSIONS.filter(permission => permission !== 'unwrapKey'),
  )
})

test('replacing leaves an identity what it was given last, and the others what they have · R20', () => {
  const before = [policyFor(OBJECT, ['all']), policyFor('another', ['list'])]
  assert.deepEqual(keysOf(updatedPolicies(before, 'replace', [policyFor(OBJECT, ['get'])])), [['get'], ['list']])
})

test('removing all permissions, or naming none, removes the policy · R19', () => {
  for (const keys of [['all'], ['get', 'list'], []]) {
    assert.deepEqual(updatedPolicies([policyFor(OBJECT, ['get', 'list'])], 'remove', [policyFor(OBJECT, keys)]), [])
  }
})

test('identities differ by application too, and compare without letter case', () => {
  const compound = policyFor(OBJECT, ['get'], { applicationId: 'app' })
  assert.deepEqual(keysOf(updatedPolicies([compound], 'add', [policyFor(OBJECT, ['list'])])), [['get'], ['list']])
  assert.deepEqual(
    keysOf(updatedPolicies([policyFor(OBJECT, ['get'])], 'add', [policyFor(OBJECT.toUpperCase(), ['list'])])),
    [['get', 'list']],
  )
  assert.deepEqual(keysOf(updatedPolicies([compound], 'remove', [policyFor(OBJECT, ['all'])])), [['get']])
})

test('there are at most 1,024 policies', () => {
  const many = Array.from({ length: 1024 }, (_, index) => policyFor(`object-${index}`, ['get']))
  assert.equal(updatedPolicies([], 'add', many).length, 1024)
  assert.throws(() => updatedPolicies(many, 'add', [policyFor(OBJECT, ['get'])]), /at most 1024 access policies/)
})
