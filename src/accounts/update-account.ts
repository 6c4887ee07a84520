import { noteOperation } from '../audit/request-context.ts'
import { AzureError, Conflict } from '../http/errors.ts'
import { changedMeanwhile } from '../store/conflicts.ts'
import { changeKey } from '../encryption/change-key.ts'
import { formatKeyIdentifier, keyIdentifierFrom } from '../encryption/key-identifier.ts'
import type { KeyEncryptionKey } from '../encryption/key-encryption-key.ts'
import { put, type Change, type Stored } from '../store/records.ts'
import { accountAudit, type AccountServices } from './accounts.ts'
import { checkSku, networkAclsOf, wantsIdentity } from './create-account.ts'
import { accounts, type Account, type EncryptionSettings } from './account.ts'
import type { AccountBody, EncryptionBody } from './account-body.ts'
import {
  checkAccess,
  checkKey,
  checkRecovery,
  checkVault,
  identityOff,
  OPERATOR,
  vaultNotFound,
} from './requirements.ts'
import type { ReEncryptions } from './re-encryptions.ts'
import { freshStatus } from './fresh-status.ts'
import { requirementsNotMet, type UnmetRequirement } from './unmet-requirement.ts'

/** PATCH (and PUT on an account that exists): fields that the body leaves out stay as they are. */
export async function updateAccount(
  services: AccountServices,
  stored: Stored<Account>,
  body: AccountBody,
  reEncryptions: Pick<ReEncryptions, 'plan'>,
): Promise<Account> {
  const { tenantId } = await services.resourceManager.subscription(stored.value.subscriptionId)
  const identity =
    body.identity == null ? undefined : await identityChange(services, stored.value, wantsIdentity(body), tenantId)
  const { disableLocalAuth, publicNetworkAccess, networkAcls } = body.properties ?? {}
  if (identity !== undefined || disableLocalAuth || publicNetworkAccess != null || networkAcls != null)
    noteOperation({ endsAccess: true })
  const { identity: _, ...rest } = stored.value
  const identityOfNow = identity === undefined ? stored.value.identity : identity.identity
  const account: Account = {
    ...rest,
    ...(identityOfNow === undefined ? {} : { identity: identityOfNow }),
    sku: body.sku == null ? rest.sku : checkSku(body.sku.name),
    tags: body.tags ?? rest.tags,
    disableLocalAuth: body.properties?.disableLocalAuth ?? rest.disableLocalAuth,
    ...networkOf(body),
  }
  checkSubdomain(account, body)
  const commit = async (
    changes: readonly Change[],
    value: Account,
    what: string,
    properties?: object,
  ): Promise<void> => {
    const entry = accountAudit(value, 'Microsoft.CognitiveServices/accounts/write', what, properties)
    await services.audit
      .append(entry, [put(accounts, value.accountId, value, stored.version), ...changes])
      .catch(changedMeanwhile('The account'))
  }
  const wanted = body.properties?.encryption
  if (wanted == null) {
    await commit(identity?.changes ?? [], account, identity === undefined ? 'Update' : 'Identity')
    // R31: without its identity the account loses access at once, not at the end of the lease.
    if (identity !== undefined) {
      services.keyRing.forget(account.accountId)
      await freshStatus(services, account, { atMostMs: 0 })
    }
    return account
  }
  if (identity !== undefined) {
    throw new AzureError(
      'IdentityAndEncryptionTogether',
      400,
      "Identity and encryption can't be changed in one request: a new identity has no access to any vault yet. Change the identity first, grant it access, then change the encryption.",
    )
  }
  return changeEncryption({ services, reEncryptions, commit }, { stored, account, tenantId, wanted })
}

type Commit = (changes: readonly Change[], value: Account, what: string, properties?: object) => Promise<void>

/** R18, R29: another key, another version, or service-managed keys. Key ring, settings and audit record are one commit. */
async function changeEncryption(
  given: { services: AccountServices; reEncryptions: Pick<ReEncryptions, 'plan'>; commit: Commit },
  asked: { stored: Stored<Account>; account: Account; tenantId: string; wanted: EncryptionBody },
): Promise<Account> {
  const { services, reEncryptions, commit } = given
  const { stored, account, tenantId, wanted } = asked
  const { keyRing, keyStatuses } = services
  const settings = readSettings(wanted)
  const target = await resolveKey(services, account, tenantId, settings)
  const changed: Account = { ...account, encryption: settings }
  const isCustomers = settings.keySource === 'Microsoft.KeyVault'
  const status = keyStatuses.change(account.accountId, isCustomers ? target.id : undefined)
  const what = describe(stored.value.encryption, settings)
  await changeKey(keyRing, account.accountId, target, async (changes, { generation, change, begins }) => {
    const reEncrypts = begins && settings.reEncryptOnEnable === true
    const plan = reEncrypts ? await reEncryptions.plan(changed, generation, undefined) : undefined
    const properties = { kid: target.id, generation, change, ...(reEncrypts ? { reEncryption: 'Begun' } : {}) }
    await commit([...changes, ...status.changes, ...(plan?.changes ?? [])], changed, what, properties)
    status.settled()
    plan?.run()
  })
  return changed
}

function networkOf({ properties }: AccountBody): Pick<Account, 'networkAcls' | 'publicNetworkAccess'> {
  const { networkAcls, publicNetworkAccess } = properties ?? {}
  return {
    ...(networkAcls == null ? {} : { networkAcls: networkAclsOf(networkAcls) }),
    ...(publicNetworkAccess == null ? {} : { publicNetworkAccess }),
  }
}

/** R29: back to service-managed keys. R15 to R17: a key of a vault, after every requirement was checked. */
async function resolveKey(
  services: AccountServices,
  account: Account,
  tenantId: string,
  settings: EncryptionSettings,
): Promise<KeyEncryptionKey> {
  const { keyRing } = services
  if (settings.keyVaultProperties === undefined) {
    const isService = account.encryption.keyVaultProperties === undefined
    return isService ? keyRing.serviceKey(account.accountId) : keyRing.newServiceKey(account.accountId)
  }
  const key = keyIdentifierFrom(settings.keyVaultProperties)
  const vault = await services.vaultDirectory.describe(key.vaultUri)
  if (vault === undefined) throw requirementsNotMet([vaultNotFound(account, key.vaultUri)])
  const ofVault = vault === 'outside' ? [] : checkVault(account, tenantId, vault)
  if (account.identity === undefined) throw requirementsNotMet([...ofVault, identityOff(account)])
  const vaultKey = keyRing.vaultKey(account.accountId, formatKeyIdentifier(key))
  const { unmet: ofAccess, read } = await checkAccess(vaultKey, vault === 'outside' ? OPERATOR : account.identity)
  const ofKey = read === undefined ? [] : checkKey(read, services.env.now())
  const ofRecovery = read === undefined || vault !== 'outside' ? [] : checkRecovery(read)
  const unmet = [...ofVault, ...ofRecovery, ...ofAccess, ...ofKey]
  if (unmet.length > 0 || read === undefined) throw requirementsNotMet(firstOfEach(unmet))
  const version = read.properties.version ?? key.version
  return keyRing.vaultKey(
    account.accountId,
    formatKeyIdentifier({ ...key, ...(version === undefined ? {} : { version }) }),
  )
}

/** A problem that two checks found is named once; only R11 may name several permissions. */
function firstOfEach(unmet: readonly UnmetRequirement[]): UnmetRequirement[] {
  const isFirst = ({ name }: UnmetRequirement, index: number): boolean =>
    name === 'PermissionMissing' || unmet.findIndex(other => other.name === name) === index
  return unmet.filter(isFirst)
}

function readSettings(body: EncryptionBody): EncryptionSettings {
  const reEncrypts = body.reEncryptOnEnable === true ? ({ reEncryptOnEnable: true } as const) : {}
  if (body.keySource === 'Microsoft.CognitiveServices')
    return { keySource: 'Microsoft.CognitiveServices', ...reEncrypts }
  const given = body.keyVaultProperties
  if (given == null) {
    throw new AzureError(
      'InvalidEncryptionSettings',
      400,
      'keySource Microsoft.KeyVault needs keyVaultProperties with keyVaultUri and keyName.',
      { target: 'properties.encryption.keyVaultProperties' },
    )
  }
  if (given.identityClientId != null && given.identityClientId !== '') {
    throw new AzureError(
      'InvalidEncryptionSettings',
      400,
      'Only the system-assigned identity works with customer-managed keys: leave identityClientId empty.',
      { target: 'properties.encryption.keyVaultProperties.identityClientId' },
    )
  }
  return {
    keySource: 'Microsoft.KeyVault',
    keyVaultProperties: { keyVaultUri: given.keyVaultUri, keyName: given.keyName, keyVersion: given.keyVersion ?? '' },
    ...reEncrypts,
  }
}

/** R13, R31: turning it on makes a new principal, turning it off removes it. Off and on again gives another principal without access. */
async function identityChange(
  services: AccountServices,
  account: Account,
  wanted: boolean,
  tenantId: string,
): Promise<{ identity: Account['identity']; changes: Change[] } | undefined> {
  if (wanted === (account.identity !== undefined)) return undefined
  if (account.identity !== undefined)
    return { identity: undefined, changes: await services.identities.remove(account.identity.principalId) }
  const { principalId, changes } = services.identities.create({
    resourceId: account.id,
    name: account.name,
    tenantId,
  })
  return { identity: { principalId, tenantId }, changes }
}

function checkSubdomain(account: Account, body: AccountBody): void {
  const given = body.properties?.customSubDomainName
  if (given == null || given.toLowerCase() === account.subdomain) return
  throw new AzureError(
    'CustomSubDomainNameImmutable',
    400,
    `The subdomain of an account can't be changed: it is '${account.subdomain}'.`,
    { target: 'properties.customSubDomainName' },
  )
}

/** Azure's clients send both fields with a change. If another value were ignored, they would count it as done. */
export function checkFixed({ name, kind, location }: Account, body: AccountBody): void {
  if (body.location != null && body.location.toLowerCase().replaceAll(' ', '') !== location)
    throw new Conflict(
      'InvalidResourceLocation',
      `The resource '${name}' already exists in location '${location}'. A resource's location can't be changed.`,
    )
  if (body.kind != null && body.kind.toLowerCase() !== kind.toLowerCase())
    throw new AzureError('KindImmutable', 400, `The kind of an account can't be changed: it is '${kind}'.`, {
      target: 'kind',
    })
}

function describe(before: EncryptionSettings, after: EncryptionSettings): string {
  if (after.keySource === 'Microsoft.CognitiveServices') return 'Disable customer-managed key'
  return before.keySource === 'Microsoft.CognitiveServices'
    ? 'Enable customer-managed key'
    : 'Change customer-managed key'
}
