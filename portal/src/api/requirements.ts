import type { Account, Vault } from './arm.ts'
import { kidParts, type KeyBundle } from './vault.ts'
import { config } from './config.ts'

export interface Check {
  readonly id: string
  readonly text: string
  /** undefined: not visible from here; the server checks it on Save. */
  readonly holds: boolean | undefined
  /** The page of the vault on which it is fixed. */
  readonly page?: string
}

/** The article's requirements for vault, key and access (R07 to R12), as far as this page can see them. The server checks again. */
export function checksOf(account: Account, vault: Vault | undefined, key: KeyBundle | undefined, now: number): Check[] {
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
    { id: 'R08', text: 'Soft delete is on', holds: seen(properties?.enableSoftDelete !== false), page: '' },
    {
      id: 'R08',
      text: 'Purge protection (Do Not Purge) is on',
      holds: seen(properties?.enablePurgeProtection === true),
      page: '',
    },
    {
      id: 'R09',
      text: 'Trusted Microsoft services pass the firewall',
      holds: seen(!isFirewalled || networkAcls?.bypass !== 'None'),
      page: 'networking',
    },
    {
      id: 'R10',
      text: 'The vault uses access policies',
      holds: seen(properties?.enableRbacAuthorization !== true),
      page: 'policies',
    },
    { id: 'R11', text: 'The identity has get, wrap key and unwrap key', holds: seen(isOpen) },
    ...keyChecks(key, now),
  ]
}

function keyChecks(key: KeyBundle | undefined, now: number): Check[] {
  const page = key === undefined ? 'keys' : `keys/${kidParts(key.key.kid).name}`
  const { enabled, nbf = 0, exp = Infinity } = key?.attributes ?? {}
  const ops = key?.key.key_ops ?? []
  const check = (text: string, holds: boolean | undefined): Check => ({ id: 'R12', text, holds: key && holds, page })
  return [
    check('The key is RSA or RSA-HSM of size 2048', key && isRsa2048(key)),
    check('The key version is enabled', enabled),
    check('The key version is valid now, and not expired', nbf * 1000 <= now && now < exp * 1000),
    check('The key may wrap and unwrap', ops.includes('wrapKey') && ops.includes('unwrapKey')),
  ]
}

function isRsa2048({ key }: KeyBundle): boolean {
  if (!['RSA', 'RSA-HSM'].includes(key.kty) || key.n === undefined) return false
  // 256 bytes in base64url, without a leading zero byte.
  return Math.floor((key.n.length * 3) / 4) === 256
}
