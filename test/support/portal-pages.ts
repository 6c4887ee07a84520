/** Every page of a resource and of a vault, by the last part of its path. */
export const ACCOUNT_PAGES = [
  '',
  'activity',
  'keys',
  'encryption',
  'protected',
  'identity',
  'deployments',
  'fine-tuning',
  'files',
]
export const VAULT_PAGES = ['', 'audit', 'policies', 'keys', 'keys/at-rest', 'networking', 'properties']

/** The pages of no resource. */
export const OWN_PAGES = ['/', '/deleted', '/base-models', '/truth-table', '/clock']
