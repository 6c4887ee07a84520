import assert from 'node:assert/strict'
import type { KeyClient } from '@azure/keyvault-keys'
import { KEY_PERMISSIONS, type Azure, type Reply, type TestAccount } from './azure.ts'

/** An account under a customer's key, and where that key lies. */
export interface Keyed {
  readonly azure: Azure
  readonly account: TestAccount
  readonly keys: KeyClient
  readonly vault: string
  readonly key: string
  /** The version that wraps the account's keys. */
  readonly version: string
  /** The account's identity; another one after it was turned off and on. */
  principalId: string
}

/** One way of losing the key, and the way back. */
export interface Cause {
  readonly name: string
  readonly revoke: (keyed: Keyed) => Promise<unknown>
  readonly restore: (keyed: Keyed) => Promise<unknown>
}

const VAULTS = '2023-07-01'

/** An account with its key in a vault of its own, encrypted under it. */
export async function keyedAccount(azure: Azure, name: string): Promise<Keyed> {
  const vault = `kv-${name}`
  const account = await azure.account(name)
  const keys = await azure.vault(vault)
  const { properties } = await keys.createRsaKey('cmk', { keySize: 2048 })
  // A newer version that stays enabled: what counts is the one that wraps the account's keys.
  await keys.createRsaKey('cmk', { keySize: 2048 })
  await azure.policy(vault, 'add', account.principalId)
  const version = properties.version ?? ''
  const { status, body } = await account.encrypt({ vault, name: 'cmk', version })
  assert.equal(status, 200, JSON.stringify(body))
  return { azure, account, keys, vault, key: 'cmk', version, principalId: account.principalId }
}

const permit = async ({ azure, vault, principalId }: Keyed, permissions: readonly string[]): Promise<void> => {
  if (permissions.length === 0) return azure.policy(vault, 'remove', principalId)
  return azure.policy(vault, 'replace', principalId, [...permissions])
}

const done = async (reply: Promise<Reply>): Promise<void> => {
  const { status, body } = await reply
  assert.ok(status < 300, JSON.stringify(body))
}

const acls = (defaultAction: string, bypass: string): object => ({
  networkAcls: { defaultAction, bypass, ipRules: [{ value: '127.0.0.1' }, { value: '::1/128' }] },
})

async function enable({ keys, key }: Keyed, enabled: boolean): Promise<void> {
  for await (const { version } of keys.listPropertiesOfKeyVersions(key))
    await keys.updateKeyProperties(key, version ?? '', { enabled })
}

async function setIdentity(keyed: Keyed, type: 'SystemAssigned' | 'None'): Promise<void> {
  const { status, body } = await keyed.account.patch({ identity: { type } })
  assert.equal(status, 200, JSON.stringify(body))
  keyed.principalId = body.identity.principalId ?? keyed.principalId
}

const recovery = (azure: Azure): object => ({
  location: azure.endpoints.location,
  properties: { createMode: 'recover', tenantId: azure.endpoints.tenantId, sku: { family: 'A', name: 'standard' } },
})

/** Every way that the article or a vault has to take the key away from an account. */
export const CAUSES: readonly Cause[] = [
  {
    name: 'access policy removed',
    revoke: keyed => permit(keyed, []),
    restore: keyed => permit(keyed, KEY_PERMISSIONS),
  },
  ...KEY_PERMISSIONS.map(permission => ({
    name: `permission ${permission} removed`,
    revoke: (keyed: Keyed) =>
      permit(
        keyed,
        KEY_PERMISSIONS.filter(kept => kept !== permission),
      ),
    restore: (keyed: Keyed) => permit(keyed, KEY_PERMISSIONS),
  })),
  {
    name: 'firewall closed to trusted services',
    revoke: ({ azure, vault }) => done(azure.patchVault(vault, acls('Deny', 'None'))),
    restore: ({ azure, vault }) => done(azure.patchVault(vault, acls('Deny', 'AzureServices'))),
  },
  {
    name: 'vault switched to RBAC',
    revoke: ({ azure, vault }) => done(azure.patchVault(vault, { enableRbacAuthorization: true })),
    restore: ({ azure, vault }) => done(azure.patchVault(vault, { enableRbacAuthorization: false })),
  },
  {
    name: 'version of the key disabled',
    revoke: ({ keys, key, version }) => keys.updateKeyProperties(key, version, { enabled: false }),
    restore: ({ keys, key, version }) => keys.updateKeyProperties(key, version, { enabled: true }),
  },
  {
    name: 'key disabled in all its versions',
    revoke: keyed => enable(keyed, false),
    restore: keyed => enable(keyed, true),
  },
  {
    name: 'wrapKey and unwrapKey taken from the key operations',
    revoke: ({ keys, key, version }) => keys.updateKeyProperties(key, version, { keyOps: ['sign', 'verify'] }),
    restore: ({ keys, key, version }) => keys.updateKeyProperties(key, version, { keyOps: ['wrapKey', 'unwrapKey'] }),
  },
  {
    name: 'key deleted',
    revoke: async ({ keys, key }) => (await keys.beginDeleteKey(key, { intervalInMs: 20 })).pollUntilDone(),
    restore: async ({ keys, key }) => (await keys.beginRecoverDeletedKey(key, { intervalInMs: 20 })).pollUntilDone(),
  },
  {
    name: 'vault deleted',
    revoke: ({ azure, vault }) => done(azure.arm('DELETE', azure.vaultPath(vault), undefined, VAULTS)),
    restore: ({ azure, vault }) => done(azure.arm('PUT', azure.vaultPath(vault), recovery(azure), VAULTS)),
  },
  {
    name: 'identity turned off',
    revoke: keyed => setIdentity(keyed, 'None'),
    // R31: turned on it is another principal, which has no access before it is given some.
    restore: async keyed => {
      await setIdentity(keyed, 'SystemAssigned')
      await permit(keyed, KEY_PERMISSIONS)
    },
  },
]
