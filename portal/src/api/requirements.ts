import type { Account, Vault } from './arm.ts'
import type { KeyBundle } from './vault.ts'
import { config } from './config.ts'

export interface Check {
  readonly id: string
  readonly text: string
  /** undefined: can't be seen from here; the server checks it when it is saved. */
  readonly holds: boolean | undefined
}

/** What the article asks of vault, key and access (R07 to R12), as far as this page can see it. The server checks again. */
export function checksOf(account: Account, vault: Vault | undefined, key: KeyBundle | undefined): Check[] {
  const { properties } = vault ?? {}
  const seen = (value: boolean | undefined): boolean | undefined => (vault === undefined ? undefined : value)
  const policy = properties?.accessPolicies?.find(({ objectId }) => objectId === account.identity?.principalId)
  const granted = new Set((policy?.permissions.keys ?? []).map(permission => permission.toLowerCase()))
  const isOpen = granted.has('all') || ['get', 'wrapkey', 'unwrapkey'].every(permission => granted.has(permission))
  const { networkAcls } = properties ?? {}
  const isFirewalled = networkAcls?.defaultAction === 'Deny' || properties?.publicNetworkAccess === 'Disabled'
  return [
    { id: 'R07', text: 'Resource and vault are in the same region', holds: seen(vault?.location === account.location) },
    {
      id: 'R07',
      text: 'Resource and vault are in the same tenant',
      holds: seen(properties?.tenantId === config().tenantId),
    },
    { id: 'R08', text: 'Soft delete is on', holds: seen(properties?.enableSoftDelete !== false) },
    {
      id: 'R08',
      text: 'Purge protection (Do Not Purge) is on',
      holds: seen(properties?.enablePurgeProtection === true),
    },
    {
      id: 'R09',
      text: 'Trusted Microsoft services pass the firewall',
      holds: seen(!isFirewalled || networkAcls?.bypass !== 'None'),
    },
    { id: 'R10', text: 'The vault uses access policies', holds: seen(properties?.enableRbacAuthorization !== true) },
    { id: 'R11', text: 'The identity has get, wrap key and unwrap key', holds: seen(isOpen) },
    { id: 'R12', text: 'The key is RSA or RSA-HSM of size 2048', holds: key && isRsa2048(key) },
    { id: 'R12', text: 'The key version is enabled', holds: key && key.attributes.enabled },
  ]
}

function isRsa2048({ key }: KeyBundle): boolean {
  if (!['RSA', 'RSA-HSM'].includes(key.kty) || key.n === undefined) return false
  // 256 bytes in base64url, without a leading zero byte.
  return Math.floor((key.n.length * 3) / 4) === 256
}
