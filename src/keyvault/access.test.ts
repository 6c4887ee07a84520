import assert from 'node:assert/strict'
import { test } from 'node:test'
import { callerLabel, policiesAllow } from './access.ts'
import { KEY_PERMISSIONS } from './permissions.ts'
import { OBJECT, policyFor, principal, TENANT, vaultWith } from './vault.fixture.ts'

const OTHER = 'bbbbbbbb-0000-4000-8000-000000000009'

test('a policy gives the permissions it lists, and no others · R11', () => {
  const vault = vaultWith({ accessPolicies: [policyFor(OBJECT, ['get', 'wrapKey', 'unwrapKey'])] })
  const allowed = KEY_PERMISSIONS.filter(permission => policiesAllow(vault, principal(), permission))
  assert.deepEqual(allowed, ['get', 'unwrapKey', 'wrapKey'])
})

test('all gives every permission on keys, in any letter case', () => {
  const vault = vaultWith({ accessPolicies: [policyFor(OBJECT.toUpperCase(), ['ALL'])] })
  assert.ok(KEY_PERMISSIONS.every(permission => policiesAllow(vault, principal(), permission)))
})

test("another principal's policy, another tenant's policy and another tenant's caller count for nothing · R07", () => {
  const policies = [policyFor(OTHER, ['all']), policyFor(OBJECT, ['all'], { tenantId: OTHER })]
  assert.equal(policiesAllow(vaultWith({ accessPolicies: policies }), principal(), 'get'), false)
  const own = vaultWith({ accessPolicies: [policyFor(OBJECT, ['all'])] })
  assert.equal(policiesAllow(own, principal({ tenantId: OTHER }), 'get'), false)
})

test('a compound identity counts only while its application calls', () => {
  const vault = vaultWith({ accessPolicies: [policyFor(OBJECT, ['get'], { applicationId: 'app' })] })
  assert.equal(policiesAllow(vault, principal(), 'get'), true)
  assert.equal(policiesAllow(vault, principal({ appId: 'another' }), 'get'), false)
})

test('groups of the token count as its holder', () => {
  const vault = vaultWith({ accessPolicies: [policyFor(OTHER, ['get'])] })
  assert.equal(policiesAllow(vault, principal({ claims: { groups: [OTHER] } }), 'get'), true)
  assert.equal(policiesAllow(vault, principal({ claims: { groups: [7, null, OTHER.toUpperCase()] } }), 'get'), true)
  assert.equal(policiesAllow(vault, principal({ claims: { groups: OTHER } }), 'get'), false)
})

test('messages name the caller as Azure does', () => {
  assert.equal(callerLabel(principal()), `appid=app;oid=${OBJECT};iss=https://sts.windows.net/${TENANT}/`)
  assert.equal(
    callerLabel(principal({ claims: { iss: 'https://login/x' } })),
    `appid=app;oid=${OBJECT};iss=https://login/x`,
  )
})
