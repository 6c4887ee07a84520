import type { KeyObject } from 'node:crypto'
import type { Env } from '../env.ts'
import type { KeyRing } from '../encryption/key-ring.ts'
import type { AuditSink } from '../audit/audit-event.ts'
import { AzureError, Conflict, NotFound } from '../http/errors.ts'
import type { NewAuditEntry } from '../store/audit-log.ts'
import { put, VersionConflict, type Change, type RecordStore, type Stored } from '../store/records.ts'
import type { ResourceManager } from '../arm/resource-manager.ts'
import { checkLocation } from '../arm/locations.ts'
import { formatResourceId } from '../arm/resource-id.ts'
import { accountKey, accountNames, accounts, subdomains, type Account } from './account.ts'
import type { AccountBody } from './account-body.ts'
import { matchesApiKey, newApiKeys, openApiKeys, sealApiKeys, type ApiKeys } from './api-keys.ts'
import { keyBeforeIdentity } from './key-before-identity.ts'
import type { KeyStatuses } from './key-statuses.ts'
import type { VaultDirectory } from './vault-directory.ts'

/** What entra gives: identities that live and die with their resource (R13, R31). */
export interface Identities {
  create(resource: { resourceId: string; name: string; tenantId: string }): { principalId: string; changes: Change[] }
  remove(principalId: string): Promise<Change[]>
}

export interface AccountsOptions {
  readonly records: RecordStore
  readonly env: Env
  readonly keyRing: KeyRing
  readonly vaultDirectory: VaultDirectory
  readonly resourceManager: ResourceManager
  readonly identities: Identities
  readonly keyStatuses: KeyStatuses
  readonly audit: AuditSink
  readonly identityKey: KeyObject
  readonly locations: readonly string[]
  /** `https://<subdomain><suffix>/` of an account. */
  readonly endpoint: (subdomain: string) => string
}

const TYPE = 'Microsoft.CognitiveServices/accounts'

/** Looks accounts up, and makes them. */
export class Accounts {
  readonly options: AccountsOptions

  constructor(options: AccountsOptions) {
    this.options = options
  }

  async find(subscriptionId: string, group: string, name: string): Promise<Stored<Account> | undefined> {
    const { records } = this.options
    const known = await records.get(accountNames, accountKey(subscriptionId, group, name))
    return known === undefined ? undefined : records.get(accounts, known.value.accountId)
  }

  /** @throws 404 ResourceNotFound */
  async get(subscriptionId: string, group: string, name: string): Promise<Stored<Account>> {
    const found = await this.find(subscriptionId, group, name)
    if (found !== undefined) return found
    throw new NotFound(
      'ResourceNotFound',
      `The Resource '${TYPE}/${name}' under resource group '${group}' was not found.`,
    )
  }

  async bySubdomain(subdomain: string): Promise<Account | undefined> {
    const { records } = this.options
    const known = await records.get(subdomains, subdomain.toLowerCase())
    return known === undefined ? undefined : (await records.get(accounts, known.value.accountId))?.value
  }

  async byId(accountId: string): Promise<Account | undefined> {
    return (await this.options.records.get(accounts, accountId))?.value
  }

  async list(subscriptionId: string, group?: string): Promise<Account[]> {
    const { records } = this.options
    const prefix = `${subscriptionId}/${group === undefined ? '' : `${group}/`}`.toLowerCase()
    const names = await records.list(accountNames, { prefix })
    const found = await Promise.all(names.map(({ value }) => records.get(accounts, value.accountId)))
    return found.flatMap(stored => (stored === undefined ? [] : [stored.value]))
  }

  keysOf(account: Account): ApiKeys {
    return openApiKeys(this.options.identityKey, account)
  }

  /** R27: an account's own keys open that account and no other. */
  acceptsKey(account: Account, key: string): boolean {
    return !account.disableLocalAuth && matchesApiKey(this.keysOf(account), key)
  }

  /** R04: a new account, encrypted under service-managed keys with nothing to configure. */
  async create(
    at: { subscriptionId: string; group: string; name: string },
    body: AccountBody & { location: string; kind?: string | null | undefined },
  ): Promise<Account> {
    const { records, env, resourceManager, locations, audit, keyRing } = this.options
    checkName(at.name)
    const group = await resourceManager.group(at.subscriptionId, at.group)
    const location = checkLocation(body.location, locations)
    const wanted = body.properties?.encryption
    if (wanted?.keySource === 'Microsoft.KeyVault')
      throw keyBeforeIdentity({ name: at.name, group: group.name, location }, body)
    const { tenantId } = await resourceManager.subscription(at.subscriptionId)
    const accountId = env.uuid()
    const subdomain = (body.properties?.customSubDomainName ?? at.name).toLowerCase()
    if ((await records.get(subdomains, subdomain)) !== undefined) throw subdomainTaken(subdomain)
    const id = formatResourceId({ subscriptionId: at.subscriptionId, group: group.name, type: TYPE, name: at.name })
    const identity = wantsIdentity(body)
      ? this.options.identities.create({ resourceId: id, name: at.name, tenantId })
      : undefined
    const account: Account = {
      accountId,
      id,
      subscriptionId: at.subscriptionId,
      group: group.name,
      name: at.name,
      kind: checkKind(body.kind ?? 'OpenAI'),
      sku: { name: body.sku?.name ?? 'S0' },
      location,
      tags: body.tags ?? {},
      subdomain,
      ...(identity === undefined ? {} : { identity: { principalId: identity.principalId, tenantId } }),
      encryption: { keySource: 'Microsoft.CognitiveServices' },
      disableLocalAuth: body.properties?.disableLocalAuth ?? false,
      sealedKeys: sealApiKeys(this.options.identityKey, accountId, newApiKeys(env)),
      createdAt: new Date(env.now()).toISOString(),
    }
    const key = accountKey(at.subscriptionId, at.group, at.name)
    await audit
      .append(accountAudit(account, 'Microsoft.CognitiveServices/accounts/write', 'Create', CREATED), [
        put(accounts, accountId, account, 0),
        put(accountNames, key, { accountId }, 0),
        put(subdomains, subdomain, { accountId }, 0),
        ...(identity?.changes ?? []),
        ...(await keyRing.create(accountId)),
      ])
      .catch(nameTaken(subdomain))
    return account
  }
}

/** For the audit record of an operation that answers 201. */
export const CREATED = { httpStatusCode: 201 }

/** An audit entry of an operation on an account that succeeded. */
export function accountAudit(
  account: Account,
  operationName: string,
  description: string,
  /** `httpStatusCode`: what the client is answered, where it is not 200. */
  properties?: object,
): NewAuditEntry {
  return {
    category: 'AuditEvent',
    operationName,
    resourceId: account.id.toUpperCase(),
    resultType: 'Success',
    resultDescription: description,
    ...(properties === undefined ? {} : { properties }),
  }
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

function checkKind(kind: string): string {
  const known = ['OpenAI', 'AIServices'].find(name => name.toLowerCase() === kind.toLowerCase())
  if (known !== undefined) return known
  throw new AzureError(
    'InvalidKind',
    400,
    `The account kind '${kind.slice(0, 64)}' is not available here. Use OpenAI or AIServices.`,
    { target: 'kind' },
  )
}

function subdomainTaken(subdomain: string): Conflict {
  return new Conflict(
    'CustomDomainInUse',
    `The subdomain name '${subdomain}' is already used by another resource. Choose another customSubDomainName.`,
  )
}

function nameTaken(subdomain: string): (error: unknown) => never {
  return error => {
    throw error instanceof VersionConflict ? subdomainTaken(subdomain) : error
  }
}
