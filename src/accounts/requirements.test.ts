import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Account } from './account.ts'
import { KeyUnavailable, type KeyUnavailableCause } from '../encryption/key-unavailable.ts'
import type { VaultKey } from '../encryption/vault-key.ts'
import { checkAccess, checkVault, OPERATOR, vaultNotFound } from './requirements.ts'
import { requirementsNotMet } from './unmet-requirement.ts'

const account = {
  name: 'a',
  subscriptionId: 's1',
  group: 'rg',
  location: 'westeurope',
  id: '/subscriptions/s1/accounts/a',
} as Account
const good = {
  name: 'kv',
  id: '/subscriptions/s2/vaults/kv',
  location: 'westeurope',
  tenantId: 't1',
  softDelete: true,
  purgeProtection: true,
  rbacAuthorization: false,
  firewall: false,
  trustedServices: false,
}
const codes = (vault: typeof good): string[] =>
  checkVault(account, 't1', vault).map(({ requirement, name }) => `${requirement}.${name}`)

test('a vault that meets every requirement has none unmet, in any subscription · R07', () => {
  assert.deepEqual(codes(good), [])
  assert.deepEqual(codes({ ...good, firewall: true, trustedServices: true }), [])
})

test('each requirement of a vault is checked by itself · R07 R08 R09 R10', () => {
  assert.deepEqual(codes({ ...good, location: 'eastus' }), ['R07.RegionMismatch'])
  assert.deepEqual(codes({ ...good, tenantId: 't2' }), ['R07.TenantMismatch'])
  assert.deepEqual(codes({ ...good, softDelete: false }), ['R08.SoftDeleteOff'])
  assert.deepEqual(codes({ ...good, purgeProtection: false }), ['R08.PurgeProtectionOff'])
  assert.deepEqual(codes({ ...good, firewall: true }), ['R09.TrustedServicesBlocked'])
  assert.deepEqual(codes({ ...good, rbacAuthorization: true }), ['R10.RbacAuthorization'])
})

test('about a vault of another tenant only its tenant is told, except where the subscription was moved · R07 R27 R32', () => {
  const foreign = { ...good, tenantId: 't2', location: 'eastus', purgeProtection: false, firewall: true }
  const unmet = checkVault(account, 't1', foreign)
  assert.deepEqual(codes(foreign), ['R07.TenantMismatch'])
  assert.doesNotMatch(JSON.stringify(unmet), /s2|eastus/)
  assert.equal(codes({ ...foreign, id: '/subscriptions/s1/vaults/kv' }).length, 4)
})

test('a text that can not be a vault name does not get into a command that people copy', () => {
  for (const uri of ['https://kv;reboot.example', 'https://$(reboot).example', "https://a'b.example", 'nonsense']) {
    const { options } = requirementsNotMet([vaultNotFound(account, uri)])
    const [{ info } = { info: {} }] = options.details?.[0]?.additionalInfo ?? []
    assert.equal((info as { command: string }).command, 'az keyvault recover --name <vault> --location westeurope')
  }
})

test('a silent vault is asked once, one that refuses for each permission · R06 R11', async () => {
  const cases: [KeyUnavailableCause, string[], string[]][] = [
    ['Unreachable', ['read'], ['R06.Unreachable']],
    ['Throttled', ['read'], ['R06.Throttled']],
    ['AccessDenied', ['read', 'wrap', 'unwrap'], Array<string>(3).fill('R11.PermissionMissing')],
  ]
  for (const [reason, calls, found] of cases) {
    const asked: string[] = []
    const refuse = (what: string) => async (): Promise<never> => {
      asked.push(what)
      throw new KeyUnavailable(reason, id)
    }
    const id = `https://kv.vault.localhost/keys/k/${'0'.repeat(32)}`
    const key: Omit<VaultKey, 'algorithm' | 'explain'> = {
      id,
      read: refuse('read'),
      wrap: refuse('wrap'),
      unwrap: refuse('unwrap'),
    }
    const { unmet } = await checkAccess(key as VaultKey, OPERATOR)
    assert.deepEqual(asked, calls)
    assert.deepEqual(
      unmet.map(({ requirement, name }) => `${requirement}.${name}`),
      found,
    )
  }
})
