import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AzureError } from '../http/errors.ts'
import type { KeyVersion } from './key-record.ts'
import { checkKeyName, checkKeyOps, checkTimes, checkUsable, defaultKeyOps, type CryptoOperation } from './key-rules.ts'
import { recoveryLevel } from './key-record.ts'
import { vaultWith } from './vault.fixture.ts'

const OPERATIONS: CryptoOperation[] = ['encrypt', 'decrypt', 'sign', 'verify', 'wrapKey', 'unwrapKey']

const version = (rest: Partial<KeyVersion> = {}): KeyVersion => ({
  version: '0'.repeat(32),
  kty: 'RSA',
  size: 2048,
  publicPart: {},
  keyOps: OPERATIONS,
  enabled: true,
  created: 0,
  updated: 0,
  ...rest,
})
const allowed = (one: KeyVersion, now: number) =>
  OPERATIONS.filter(operation => {
    try {
      checkUsable(one, operation, now)
      return true
    } catch {
      return false
    }
  })
const inner = (run: () => unknown) => {
  try {
    run()
  } catch (error) {
    return error instanceof AzureError ? (error.options.innererror?.code ?? error.code) : error
  }
  return undefined
}

test('a disabled version does nothing · R21', () => {
  assert.deepEqual(allowed(version({ enabled: false }), 1000), [])
  assert.equal(
    inner(() => checkUsable(version({ enabled: false, keyOps: [] }), 'wrapKey', 0)),
    'KeyDisabled',
  )
})

test('outside nbf and exp a key still decrypts and verifies, but makes nothing new', () => {
  const timed = version({ nbf: 10, exp: 20 })
  assert.deepEqual(allowed(timed, 9_999), ['decrypt', 'verify', 'unwrapKey'])
  assert.deepEqual(allowed(timed, 10_000), OPERATIONS)
  assert.deepEqual(allowed(timed, 19_999), OPERATIONS)
  assert.deepEqual(allowed(timed, 20_000), ['decrypt', 'verify', 'unwrapKey'])
  assert.equal(
    inner(() => checkUsable(timed, 'wrapKey', 20_000)),
    'KeyExpired',
  )
  assert.equal(
    inner(() => checkUsable(timed, 'sign', 0)),
    'KeyNotYetValid',
  )
})

test('an operation that key_ops lacks is forbidden · R12', () => {
  assert.deepEqual(allowed(version({ keyOps: ['unwrapKey'] }), 0), ['unwrapKey'])
  assert.equal(
    inner(() => checkUsable(version({ keyOps: [] }), 'wrapKey', 0)),
    'KeyOperationForbidden',
  )
})

test('key_ops fit the type of the key', () => {
  assert.deepEqual(defaultKeyOps('EC'), ['sign', 'verify'])
  assert.deepEqual(checkKeyOps('RSA', ['sign', 'sign']), ['sign'])
  assert.deepEqual(checkKeyOps('RSA-HSM', ['import']), ['import'])
  assert.equal(
    inner(() => checkKeyOps('RSA', ['import'])),
    'BadParameter',
  )
  assert.equal(
    inner(() => checkKeyOps('RSA-HSM', ['import', 'sign'])),
    'BadParameter',
  )
  assert.equal(
    inner(() => checkKeyOps('EC', ['wrapKey'])),
    'BadParameter',
  )
})

test('names are 1 to 127 letters, digits and hyphens, and a key expires after it becomes valid', () => {
  assert.equal(checkKeyName('a-B-9'), 'a-B-9')
  for (const name of ['', 'a_b', 'a.b', 'a'.repeat(128), 'ä'])
    assert.equal(
      inner(() => checkKeyName(name)),
      'BadParameter',
    )
  assert.equal(
    inner(() => checkTimes(5, 5)),
    'BadParameter',
  )
  assert.equal(
    inner(() => checkTimes(undefined, 5)),
    undefined,
  )
})

test('the recovery level says what a deletion can be undone by · R08', () => {
  const level = (enableSoftDelete: boolean, softDeleteRetentionInDays: number, enablePurgeProtection: boolean) =>
    recoveryLevel(vaultWith({ enableSoftDelete, softDeleteRetentionInDays, enablePurgeProtection }))
  assert.equal(level(false, 90, false), 'Purgeable')
  assert.equal(level(true, 90, false), 'Recoverable+Purgeable')
  assert.equal(level(true, 90, true), 'Recoverable')
  assert.equal(level(true, 7, false), 'CustomizedRecoverable+Purgeable')
  assert.equal(level(true, 89, true), 'CustomizedRecoverable')
})
