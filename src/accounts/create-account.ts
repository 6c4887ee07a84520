import { checkLocation } from '../arm/locations.ts'
import { groups } from '../arm/records.ts'
import { formatResourceId } from '../arm/resource-id.ts'
import { AzureError, Conflict } from '../http/errors.ts'
import { put, VersionConflict } from '../store/records.ts'
import {
  ACCOUNT_TYPE,
  accountKey,
  accountNames,
  accounts,
  subdomains,
  type Account,
  type NetworkAcls,
} from './account.ts'
import type { AccountBody } from './account-body.ts'
import { accountAudit, CREATED, type AccountServices } from './accounts.ts'
import { keyBeforeIdentity } from './key-before-identity.ts'
import { newApiKeys, sealApiKeys } from './api-keys.ts'

/** As Azure: the most accounts in a subscription. */
export const MAX_ACCOUNTS = 200

type PutBody = AccountBody & { location: string; kind?: string | null | undefined }

/** R04: a new account, encrypted under service-managed keys with nothing to configure. */
export async function createAccount(
  services: AccountServices,
  at: { subscriptionId: string; group: string; name: string },
  body: PutBody,
): Promise<void> {
  const { records, env, resourceManager, audit, keyRing, identities } = services
  checkName(at.name)
  const { group, held } = await resourceManager.groupForNew(at.subscriptionId, at.group)
  const location = checkLocation(body.location, services.locations)
  if (body.properties?.encryption?.keySource === 'Microsoft.KeyVault')
    throw keyBeforeIdentity({ name: at.name, group: group.name, location }, body)
  const { tenantId } = await resourceManager.subscription(at.subscriptionId)
  if ((await records.count(accountNames, `${at.subscriptionId}/`)) >= MAX_ACCOUNTS) throw tooMany()
  const id = formatResourceId({
    subscriptionId: at.subscriptionId,
    group: group.name,
    type: ACCOUNT_TYPE,
    name: at.name,
  })
  const identity = wantsIdentity(body) ? identities.create({ resourceId: id, name: at.name, tenantId }) : undefined
  const account: Account = {
    ...(await newAccount(services, body, at.name)),
    id,
    subscriptionId: at.subscriptionId,
    group: group.name,
    name: at.name,
    ...(identity === undefined ? {} : { identity: { principalId: identity.principalId, tenantId } }),
    createdAt: new Date(env.now()).toISOString(),
  }
  const { accountId, subdomain } = account
  await audit
    .append(accountAudit(account, 'Microsoft.CognitiveServices/accounts/write', 'Create', CREATED), [
      held,
      put(accounts, accountId, account, 0),
      put(accountNames, accountKey(at.subscriptionId, at.group, at.name), { accountId }, 0),
      put(subdomains, subdomain, { accountId }, 0),
      ...(identity?.changes ?? []),
      ...(await keyRing.create(accountId)),
    ])
    .catch((error: unknown) => {
      if (!(error instanceof VersionConflict)) throw error
      // The group was changed meanwhile. Where it is being deleted, the next look says so.
      if (error.collection === groups.name) return createAccount(services, at, body)
      throw subdomainTaken(subdomain)
    })
}

/** The part that comes from the body alone. */
async function newAccount(
  services: AccountServices,
  body: PutBody,
  name: string,
): Promise<Omit<Account, 'id' | 'subscriptionId' | 'group' | 'name' | 'identity' | 'createdAt'>> {
  const { env, identityKey, locations } = services
  const accountId = env.uuid()
  const { networkAcls, publicNetworkAccess, disableLocalAuth, customSubDomainName } = body.properties ?? {}
  return {
    accountId,
    kind: checkKind(body.kind ?? 'OpenAI'),
    sku: checkSku(body.sku?.name ?? 'S0'),
    location: checkLocation(body.location, locations),
    tags: body.tags ?? {},
    subdomain: await freeSubdomain(services, name, customSubDomainName),
    encryption: { keySource: 'Microsoft.CognitiveServices' },
    disableLocalAuth: disableLocalAuth ?? false,
    ...(networkAcls == null ? {} : { networkAcls: networkAclsOf(networkAcls) }),
    ...(publicNetworkAccess == null ? {} : { publicNetworkAccess }),
    sealedKeys: sealApiKeys(identityKey, accountId, newApiKeys(env)),
  }
}

/** Subdomains are unique in the whole cloud, those of soft-deleted accounts included. */
async function freeSubdomain(
  services: AccountServices,
  name: string,
  wanted: string | null | undefined,
): Promise<string> {
  const { records, env } = services
  if (wanted != null && wanted !== '') {
    const subdomain = wanted.toLowerCase()
    if ((await records.get(subdomains, subdomain)) !== undefined) throw subdomainTaken(subdomain)
    return subdomain
  }
  // The request has no subdomain, so it is the account's name if that is free and valid.
  const plain = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 50)
    .replace(/^-|-$/g, '')
  if (plain !== '' && (await records.get(subdomains, plain)) === undefined) return plain
  return `${plain === '' ? 'account' : plain}-${env.randomBytes(4).toString('hex')}`
}

export function networkAclsOf(given: NonNullable<NonNullable<AccountBody['properties']>['networkAcls']>): NetworkAcls {
  return {
    defaultAction: given.defaultAction ?? 'Allow',
    ipRules: (given.ipRules ?? []).map(({ value }) => ({ value })),
    virtualNetworkRules: (given.virtualNetworkRules ?? []).map(({ id }) => ({ id })),
  }
}

/** @throws 400 InvalidSku */
export function checkSku(name: string): { name: string } {
  if (name.toUpperCase() === 'S0') return { name: 'S0' }
  throw new AzureError('InvalidSku', 400, `The sku '${name.slice(0, 32)}' is not available here: there is S0 only.`, {
    target: 'sku.name',
  })
}

export function wantsIdentity(body: AccountBody): boolean {
  const type = body.identity?.type ?? 'None'
  if (/^systemassigned$/i.test(type)) return true
  if (/^none$/i.test(type)) return false
  throw new AzureError(
    'InvalidIdentityType',
    400,
    `The identity type '${type.slice(0, 64)}' is not supported: only a system-assigned identity works with customer-managed keys. Use SystemAssigned or None.`,
    { target: 'identity.type' },
  )
}

function checkName(name: string): void {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,63}$/.test(name)) return
  throw new AzureError(
    'InvalidResourceName',
    400,
    `The account name '${name.slice(0, 80)}' is invalid: 2 to 64 letters, digits, '_', '.' and '-', beginning with a letter or digit.`,
  )
}

/** `CognitiveServices` and `AIServices` are Azure's accounts for several services. Here each is an account of Azure OpenAI. */
export const KINDS: readonly string[] = ['OpenAI', 'AIServices', 'CognitiveServices']

function checkKind(kind: string): string {
  const known = KINDS.find(name => name.toLowerCase() === kind.toLowerCase())
  if (known !== undefined) return known
  throw new AzureError(
    'InvalidKind',
    400,
    `The account kind '${kind.slice(0, 64)}' is not available here. Use ${KINDS.join(', ')}.`,
    { target: 'kind' },
  )
}

function subdomainTaken(subdomain: string): Conflict {
  return new Conflict(
    'CustomDomainInUse',
    `The subdomain name '${subdomain}' is already used by another resource. Choose another customSubDomainName.`,
  )
}

function tooMany(): AzureError {
  return new AzureError(
    'QuotaExceeded',
    400,
    `The subscription has ${MAX_ACCOUNTS} accounts already, soft-deleted ones included. Delete or purge some first.`,
  )
}
