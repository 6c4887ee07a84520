const ACTIONS = {
  backup: 'keys/backup/action',
  create: 'keys/create/action',
  decrypt: 'keys/decrypt/action',
  delete: 'keys/delete',
  encrypt: 'keys/encrypt/action',
  get: 'keys/read',
  getrotationpolicy: 'keyrotationpolicies/read',
  import: 'keys/import/action',
  list: 'keys/read',
  purge: 'keys/purge/action',
  recover: 'keys/recover/action',
  release: 'keys/release/action',
  restore: 'keys/restore/action',
  rotate: 'keys/rotate/action',
  setrotationpolicy: 'keyrotationpolicies/write',
  sign: 'keys/sign/action',
  unwrapKey: 'keys/unwrap/action',
  update: 'keys/update/action',
  verify: 'keys/verify/action',
  wrapKey: 'keys/wrap/action',
} as const

export type KeyPermission = keyof typeof ACTIONS

/** Every permission that an access policy can give on keys, as Azure spells them; `all` means all of these. */
export const KEY_PERMISSIONS = Object.keys(ACTIONS) as readonly KeyPermission[]

const words = (text: string): readonly string[] => text.split(' ')

/** The permissions that each list of an access policy may have. */
export const PERMISSIONS_BY_KIND = {
  keys: KEY_PERMISSIONS,
  secrets: words('get list set delete backup restore recover purge'),
  certificates: words(
    'get list delete create import update managecontacts getissuers listissuers setissuers deleteissuers manageissuers ' +
      'recover purge backup restore',
  ),
  storage: words(
    'get list delete set update regeneratekey recover purge backup restore setsas listsas getsas deletesas',
  ),
} as const satisfies Record<string, readonly string[]>

export type PermissionKind = keyof typeof PERMISSIONS_BY_KIND

/** The data action that role assignments need in RBAC mode, for example `Microsoft.KeyVault/vaults/keys/wrap/action`. */
export function dataAction(permission: KeyPermission): string {
  return `Microsoft.KeyVault/vaults/${ACTIONS[permission]}`
}
