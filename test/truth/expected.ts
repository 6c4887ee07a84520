/** Read a row as: after this cause, what needs the key is refused for this reason. */
export interface Expected {
  readonly cause: string
  /** The cause that clients are told. */
  readonly told: string
  /** Changing the key: `key` when the present one is missing, `requirements` when the new one can't be used either. */
  readonly changeKey: 'key' | 'requirements'
  /** The key is gone for good, and everything says so. */
  readonly gone?: true
  /** It takes two steps, and a lease that ends in between may pause a job after the first. */
  readonly toldBefore?: string
  /** In place of 403 and the cause. */
  readonly answer?: string
}

const row = (cause: string, told: string, changeKey: Expected['changeKey'], gone?: 'gone'): Expected => ({
  cause,
  told,
  changeKey,
  ...(gone === undefined ? {} : { gone: true }),
})

export const EXPECTED: readonly Expected[] = [
  row('access policy removed', 'AccessDenied', 'requirements'),
  row('permission get removed', 'AccessDenied', 'requirements'),
  row('permission wrapKey removed', 'AccessDenied', 'requirements'),
  row('permission unwrapKey removed', 'AccessDenied', 'requirements'),
  row('firewall closed to trusted services', 'FirewallDenied', 'requirements'),
  row('vault switched to RBAC', 'RbacAuthorization', 'requirements'),
  row('version of the key disabled', 'KeyDisabled', 'key'),
  row('key disabled in all its versions', 'KeyDisabled', 'requirements'),
  row('wrapKey and unwrapKey taken from the key operations', 'KeyOperationForbidden', 'key'),
  row('key deleted', 'KeyNotFound', 'requirements'),
  row('vault deleted', 'VaultNotFound', 'requirements'),
  row('identity turned off', 'IdentityMissing', 'requirements'),
  row('subscription moved to another tenant', 'IdentityLeftBehind', 'requirements'),
  row('vault unreachable', 'Unreachable', 'requirements'),
  row('machine slept', 'AccessDenied', 'requirements'),
  { ...row('database row put back', 'KeyRingTampered', 'key'), answer: '500 KeyRingTampered' },
  { ...row('key purged', 'KeyPurged', 'requirements', 'gone'), toldBefore: 'KeyNotFound' },
  row('vault purged', 'VaultNotFound', 'requirements', 'gone'),
]

/** The answer of each operation for any cause: `refused` needs the customer's key, `allowed` never does. */
export const RULES: Readonly<Record<string, 'refused' | 'allowed' | 'changeKey'>> = {
  'download training data': 'refused',
  'chat on a deployment that stops with its key': 'refused',
  'download results': 'refused',
  upload: 'refused',
  'create a job': 'refused',
  'deploy a fine-tuned model': 'refused',
  'resume the paused job': 'refused',
  'change to a newer version': 'changeKey',
  'disable customer-managed keys': 'refused',
  'chat on a running deployment': 'allowed',
  'list files': 'allowed',
  'list models': 'allowed',
  'read a job': 'allowed',
  "read a job's events": 'allowed',
  'delete a file': 'allowed',
  'delete a deployment': 'allowed',
  'delete a model': 'allowed',
}

export function expectedAnswer(operation: string, expected: Expected): string {
  const rule = RULES[operation]
  if (rule === 'allowed') return 'allowed'
  if (rule === 'changeKey' && expected.changeKey === 'requirements') return '400 CustomerManagedKeyRequirementsNotMet'
  return expected.answer ?? `403 CustomerManagedKeyUnavailable ${expected.told}`
}
