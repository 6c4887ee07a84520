import { sameUri, type Account, type Vault } from './arm.ts'
import type { KeyItem } from './vault.ts'
import { kidParts } from './vault.ts'

export interface Problem {
  readonly level: 'bad' | 'warn'
  readonly text: string
  /** The page on which it is fixed, and what to do there. */
  readonly href: string
  readonly step: string
}

/** What is known about an account's key. */
export interface KeyOfAccount {
  readonly account: Account
  readonly vault: Vault | undefined
  /** Undefined where the user may not list them. */
  readonly versions: readonly KeyItem[] | undefined
}

const SOON_DAYS = 30
const DAY_MS = 86_400_000
const NEEDED = ['get', 'wrapkey', 'unwrapkey']

/** Each thing that is wrong or soon will be, worst first. @param now milliseconds, of the cloud's clock */
export function problemsOf(keys: readonly KeyOfAccount[], now: number): Problem[] {
  const problems = keys.flatMap(key => problemsOfOne(key, now))
  return problems.toSorted((a, b) => Number(a.level === 'warn') - Number(b.level === 'warn'))
}

function problemsOfOne(key: KeyOfAccount, now: number): Problem[] {
  const { account, vault } = key
  const { encryption } = account.properties
  if (encryption?.keySource !== 'Microsoft.KeyVault') return []
  if (account.identity?.principalId === undefined) return [withoutIdentity(account)]
  if (encryption.status?.state === 'KeyUnavailable')
    return [{ level: 'bad', text: unavailable(account), ...fixingStep(account, vault, encryption.status.cause) }]
  if (vault !== undefined && !isGranted(account, vault)) return [withoutPolicy(account, vault)]
  return versionProblems(key, now)
}

const withoutIdentity = ({ id, name }: Account): Problem => ({
  level: 'bad',
  text: `${name} has no identity, so no vault lets it use its key.`,
  href: `/resource${id}/identity`,
  step: 'Turn its identity on',
})

const withoutPolicy = (account: Account, vault: Vault): Problem => ({
  level: 'bad',
  text: `${vault.name} has no access policy that gives ${account.name} Get, Wrap Key and Unwrap Key.`,
  href: `/resource${vault.id}/policies`,
  step: 'Create the access policy',
})

function unavailable({ name, properties }: Account): string {
  const { keyVaultProperties: key, status } = properties.encryption ?? {}
  return `${name} can't use its key ${key?.keyName ?? ''} (${status?.cause ?? 'no cause was given'}): its data can't be read.`
}

/** Where the cause of an unavailable key is fixed. */
export function fixingStep(
  account: Account,
  vault: Vault | undefined,
  cause = '',
): { readonly href: string; readonly step: string } {
  const own = (page: string, step: string) => ({ href: `/resource${account.id}/${page}`, step })
  const at = (page: string, step: string) =>
    vault === undefined ? own('encryption', 'Look at its encryption') : { href: `/resource${vault.id}/${page}`, step }
  const name = account.properties.encryption?.keyVaultProperties?.keyName ?? ''
  switch (cause) {
    case 'AccessDenied':
      return at('policies', 'Give it Get, Wrap Key and Unwrap Key')
    case 'RbacAuthorization':
      return at('policies', 'Go back to access policies')
    case 'FirewallDenied':
      return at('networking', 'Let trusted Microsoft services through')
    case 'KeyDisabled':
      return at(`keys/${name}`, 'Enable the key version')
    case 'KeyExpired':
      return at(`keys/${name}`, 'Move its date of expiry')
    case 'KeyNotFound':
      return at('keys', 'Recover the key')
    case 'VaultNotFound':
      return { href: '/deleted', step: 'Recover the vault' }
    case 'IdentityMissing':
    case 'IdentityLeftBehind':
      return own('identity', 'Renew its identity')
    default:
      return own('encryption', 'Look at its encryption')
  }
}

function isGranted(account: Account, vault: Vault): boolean {
  if (vault.properties.enableRbacAuthorization === true) return true
  const own = (vault.properties.accessPolicies ?? []).filter(
    ({ objectId, applicationId }) => objectId === account.identity?.principalId && applicationId === undefined,
  )
  const given = new Set(own.flatMap(({ permissions }) => (permissions.keys ?? []).map(name => name.toLowerCase())))
  return given.has('all') || NEEDED.every(name => given.has(name))
}

function versionProblems({ account, vault, versions }: KeyOfAccount, now: number): Problem[] {
  const present = presentVersion(account, versions)
  if (present === undefined || vault === undefined) return []
  const problems: Problem[] = []
  const { keyName = '' } = account.properties.encryption?.keyVaultProperties ?? {}
  const { exp } = present.attributes
  if (exp !== undefined && exp * 1000 - now < SOON_DAYS * DAY_MS) {
    const days = Math.floor((exp * 1000 - now) / DAY_MS)
    const when = days < 0 ? 'has expired' : days === 0 ? 'expires today' : `expires in ${days} days`
    problems.push({
      level: days < 0 ? 'bad' : 'warn',
      text: `The version of ${keyName} that ${account.name} uses ${when}.`,
      href: `/resource${vault.id}/keys/${keyName}`,
      step: 'Rotate it or move the date',
    })
  }
  if (newerVersion(account, versions) !== undefined)
    problems.push({
      level: 'warn',
      text: `${keyName} has a newer version than the one that ${account.name} uses.`,
      href: `/resource${account.id}/encryption`,
      step: 'Update the version',
    })
  return problems
}

/** The version that wraps the data keys now. */
export function presentVersion(account: Account, versions: readonly KeyItem[] | undefined): KeyItem | undefined {
  const { keyVaultProperties: key, status } = account.properties.encryption ?? {}
  const wanted = status?.keyIdentifier === undefined ? key?.keyVersion : kidParts(status.keyIdentifier).version
  return versions?.find(({ kid }) => kidParts(kid).version === wanted)
}

/** The newest enabled version, where the account names an older one (R16); those without a version follow by themselves. */
export function newerVersion(account: Account, versions: readonly KeyItem[] | undefined): KeyItem | undefined {
  const pinned = account.properties.encryption?.keyVaultProperties?.keyVersion ?? ''
  const present = versions?.find(({ kid }) => kidParts(kid).version === pinned)
  if (pinned === '' || present === undefined) return undefined
  const [newest] = (versions ?? [])
    .filter(({ attributes }) => attributes.enabled)
    .toSorted((a, b) => b.attributes.created - a.attributes.created)
  const isNewer = newest !== undefined && newest.kid !== present.kid
  return isNewer && newest.attributes.created >= present.attributes.created ? newest : undefined
}

export const vaultOf = (account: Account, vaults: readonly Vault[]): Vault | undefined => {
  const uri = account.properties.encryption?.keyVaultProperties?.keyVaultUri
  return uri === undefined ? undefined : vaults.find(({ properties }) => sameUri(properties.vaultUri, uri))
}
