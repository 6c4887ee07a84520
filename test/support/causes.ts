import assert from 'node:assert/strict'
import type { KeyClient } from '@azure/keyvault-keys'
import { administratorCredential } from '../../src/harness/azure-client.ts'
import { administratorOf, newTenant, type Client } from '../arm/arm.fixture.ts'
import type { TestCloud } from './cloud.ts'
import { KEY_PERMISSIONS, type Azure, type Reply, type TestAccount } from './azure.ts'
import type { OutsideVault } from './outside-vault.ts'
import { putBack, takeAway } from './put-back.ts'
import { LASTING } from './troubles.ts'

/** An account under a customer's key, and the place of that key. */
export interface Keyed {
  readonly azure: Azure
  readonly account: TestAccount
  readonly keys: KeyClient
  readonly vault: string
  readonly uri: string
  /** Set: the vault is another cloud's. */
  readonly outside?: OutsideVault
  readonly key: string
  /** The version that wraps the account's keys. */
  readonly version: string
  /** The account's identity; another one after it was turned off and on. */
  principalId: string
}

/** One way of losing the key, and the way back. */
export interface Cause {
  readonly name: string
  readonly revoke: (keyed: Keyed, cloud: TestCloud) => Promise<unknown>
  /** Absent: there is no way back, and the account with all of its data is lost. */
  readonly restore?: (keyed: Keyed, cloud: TestCloud) => Promise<unknown>
  /** `outside`: a key in a vault outside this cloud. `asleep`: that too, and a service that can sleep (sleeping-clock.mjs). */
  readonly where?: 'outside' | 'asleep'
  /** The service is stopped while it happens, and contradicts itself afterwards, which `ownkey prove` has to report. */
  readonly tampers?: true
}

const VAULTS = '2023-07-01'

/** An account with its key in a vault of its own, or in the one outside, encrypted under it. */
export async function keyedAccount(azure: Azure, name: string, outside?: OutsideVault): Promise<Keyed> {
  const vault = `kv-${name}`
  const account = await azure.account(name)
  const keys = outside?.keys ?? (await azure.vault(vault))
  const uri = outside?.uri ?? azure.vaultUri(vault)
  const { properties } = await keys.createRsaKey('cmk', { keySize: 2048 })
  // A newer version stays enabled, since only the one that wraps the account's keys counts.
  await keys.createRsaKey('cmk', { keySize: 2048 })
  await (outside?.permit(KEY_PERMISSIONS) ?? azure.policy(vault, 'add', account.principalId))
  const version = properties.version ?? ''
  const { status, body } = await account.encrypt({ uri, name: 'cmk', version })
  assert.equal(status, 200, JSON.stringify(body))
  const { principalId } = account
  const place = { vault, uri, key: 'cmk', version, ...(outside === undefined ? {} : { outside }) }
  return { azure, account, keys, principalId, ...place }
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

/** R32: offered by the subscription's owner, accepted by its future owner, who acts for it from then on. */
async function changeTenant(azure: Azure, to: Client): Promise<void> {
  const { subscriptionId } = azure.endpoints
  const properties = { destinationTenantId: to.login.tenantId, destinationOwnerId: to.objectId }
  await done(azure.arm('POST', '/providers/Microsoft.Subscription/changeTenant', { properties }, '2021-10-01'))
  const accept = `/providers/Microsoft.Subscription/subscriptions/${subscriptionId}/acceptOwnership`
  const accepted = await to.arm('POST', accept, {})
  assert.equal(accepted.status, 200, JSON.stringify(accepted.body))
  azure.credential = { getToken: async () => ({ token: await to.token(), expiresOnTimestamp: 0 }) }
}

/** Past the retention period of everything that was deleted. */
const outlast = async ({ azure }: Keyed): Promise<void> => {
  await done(azure.armRoot('PUT', '/ownkey/clock', { advanceSeconds: 91 * 86_400 }))
}

const deleteKey = async ({ keys, key }: Keyed): Promise<unknown> =>
  (await keys.beginDeleteKey(key, { intervalInMs: 20 })).pollUntilDone()
const deleteVault = ({ azure, vault }: Keyed): Promise<void> =>
  done(azure.arm('DELETE', azure.vaultPath(vault), undefined, VAULTS))

/** Every way of the article or of a vault to take the key away from an account. */
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
    revoke: deleteKey,
    restore: async ({ keys, key }) => (await keys.beginRecoverDeletedKey(key, { intervalInMs: 20 })).pollUntilDone(),
  },
  {
    name: 'vault deleted',
    revoke: deleteVault,
    restore: ({ azure, vault }) => done(azure.arm('PUT', azure.vaultPath(vault), recovery(azure), VAULTS)),
  },
  {
    name: 'identity turned off',
    revoke: keyed => setIdentity(keyed, 'None'),
    // R31: turned on again it is another principal, which has no access until it is granted.
    restore: async keyed => {
      await setIdentity(keyed, 'SystemAssigned')
      await permit(keyed, KEY_PERMISSIONS)
    },
  },
  {
    name: 'subscription moved to another tenant',
    revoke: async ({ azure }) =>
      changeTenant(azure, await newTenant(await administratorOf(azure.endpoints), 'Fabrikam')),
    // The identity is still in the first tenant.
    restore: async ({ azure }) => {
      await changeTenant(azure, await administratorOf(azure.endpoints))
      azure.credential = administratorCredential(azure.endpoints)
    },
  },
  {
    name: 'vault unreachable',
    where: 'outside',
    revoke: async ({ outside }) => void (outside!.trouble = LASTING['connections that break']),
    restore: async ({ outside }) => void (outside!.trouble = () => 'pass'),
  },
  {
    name: 'machine slept',
    where: 'asleep',
    revoke: async ({ outside }, { pid }) => {
      await outside!.permit([])
      process.kill(pid, 'SIGUSR2')
    },
    restore: ({ outside }) => outside!.permit(KEY_PERMISSIONS),
  },
  { name: 'database row put back', tampers: true, revoke: putBack, restore: takeAway },
  {
    name: 'key purged',
    revoke: async keyed => {
      await deleteKey(keyed)
      await outlast(keyed)
    },
  },
  {
    name: 'vault purged',
    revoke: async keyed => {
      await deleteVault(keyed)
      await outlast(keyed)
    },
  },
]
