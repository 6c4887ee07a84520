import type { KeyObject } from 'node:crypto'
import type { Env } from '../base/env.ts'
import type { KeyRing } from '../encryption/key-ring.ts'
import type { AuditSink } from '../audit/audit-event.ts'
import { NotFound } from '../http/errors.ts'
import type { NewAuditEntry } from '../store/audit-entry.ts'
import { allRecords } from '../store/every-record.ts'
import {
  mustExist,
  VersionConflict,
  type Change,
  type RecordStore,
  type Stored,
  type Written,
} from '../store/records.ts'
import type { ResourceManager } from '../arm/resource-manager.ts'
import type { Leases } from '../store/leases.ts'
import { ACCOUNT_TYPE, accountKey, accountNames, accounts, subdomains, type Account } from './account.ts'
import { matchesApiKey, openApiKeys, type ApiKeys } from './api-keys.ts'
import type { EarlierBlobs } from './earlier-blobs.ts'
import type { KeyStatuses } from './key-statuses.ts'
import type { VaultDirectory } from './vault-directory.ts'

/** What entra offers: identities that are made and deleted with their resource (R13, R31). */
export interface Identities {
  create(resource: { resourceId: string; name: string; tenantId: string }): { principalId: string; changes: Change[] }
  remove(principalId: string): Promise<Change[]>
  /** While its resource is soft-deleted, an identity gets no tokens and those it has are refused. */
  enable(principalId: string, enabled: boolean): Promise<Change[]>
  /** Its resource has got another id. */
  rename(principalId: string, resourceId: string): Promise<Change[]>
}

/** The services that the parts of this module use. */
export interface AccountServices {
  readonly accounts: Accounts
  readonly records: RecordStore
  readonly env: Env
  readonly leases: Leases
  readonly keyRing: KeyRing
  readonly vaultDirectory: VaultDirectory
  readonly resourceManager: ResourceManager
  readonly identities: Identities
  readonly keyStatuses: KeyStatuses
  readonly earlierBlobs: EarlierBlobs
  /** The greatest age of the shown state of a key, in milliseconds. */
  readonly keyLeaseMs: number
  readonly audit: AuditSink
  readonly identityKey: KeyObject
  readonly locations: readonly string[]
  /** `https://<subdomain><suffix>/` of an account. */
  readonly endpoint: (subdomain: string) => string
}

/** Looks accounts up, and makes them. */
export class Accounts {
  readonly #options: Pick<AccountServices, 'records' | 'audit' | 'identityKey'>

  constructor(options: Pick<AccountServices, 'records' | 'audit' | 'identityKey'>) {
    this.#options = options
  }

  /** The live account of that name. */
  async find(subscriptionId: string, group: string, name: string): Promise<Stored<Account> | undefined> {
    const found = await this.named(subscriptionId, group, name)
    return found?.value.deleted === undefined ? found : undefined
  }

  /** The account of that name, also a deleted one, since its name stays taken. */
  async named(subscriptionId: string, group: string, name: string): Promise<Stored<Account> | undefined> {
    const { records } = this.#options
    const key = accountKey(subscriptionId, group, name)
    const known = key.length > 500 ? undefined : await records.get(accountNames, key)
    return known === undefined ? undefined : records.get(accounts, known.value.accountId)
  }

  /** @throws 404 ResourceNotFound */
  async get(subscriptionId: string, group: string, name: string): Promise<Stored<Account>> {
    const found = await this.find(subscriptionId, group, name)
    if (found !== undefined) return found
    throw notFound(group, name)
  }

  /** A soft-deleted account is not reachable at its host. */
  async bySubdomain(subdomain: string): Promise<Account | undefined> {
    const known = await this.#options.records.get(subdomains, subdomain.toLowerCase())
    return known === undefined ? undefined : this.byId(known.value.accountId)
  }

  /** Undefined for soft-deleted accounts, whose identity asks no vault and whose jobs do not run. */
  async byId(accountId: string): Promise<Account | undefined> {
    const found = (await this.#options.records.get(accounts, accountId))?.value
    return found?.deleted === undefined ? found : undefined
  }

  async list(subscriptionId: string, group?: string, state: 'live' | 'deleted' = 'live'): Promise<Stored<Account>[]> {
    const { records } = this.#options
    const prefix = `${subscriptionId}/${group === undefined ? '' : `${group}/`}`.toLowerCase()
    const names = await allRecords(records, accountNames, { prefix })
    const found = await Promise.all(names.map(({ value }) => records.get(accounts, value.accountId)))
    return found.flatMap(stored =>
      stored === undefined || (stored.value.deleted === undefined) !== (state === 'live') ? [] : [stored],
    )
  }

  /**
   * Commits what depends on an account, which must still exist then, since a purge that began meanwhile would not find it.
   * @throws 404 ResourceNotFound when the account is deleted or being purged; VersionConflict of the changes
   */
  async commitUnder(
    account: Account,
    entry: NewAuditEntry,
    changes: readonly Change[],
    shred = false,
  ): Promise<readonly Written[]> {
    for (;;) {
      const stored = await this.#options.records.get(accounts, account.accountId)
      if (stored === undefined || stored.value.deleted !== undefined) throw notFound(account.group, account.name)
      const guard = mustExist(accounts, stored.id, stored.version)
      try {
        return await this.#options.audit.append(entry, [...changes, guard], { shred })
      } catch (error) {
        // Any other change of the account, such as its tags, does not matter here.
        if (!(error instanceof VersionConflict && error.collection === accounts.name)) throw error
      }
    }
  }

  keysOf(account: Account): ApiKeys {
    return openApiKeys(this.#options.identityKey, account)
  }

  /** R27: an account's own API keys open that account alone. */
  acceptsKey(account: Account, key: string): boolean {
    return !account.disableLocalAuth && matchesApiKey(this.keysOf(account), key)
  }
}

function notFound(group: string, name: string): NotFound {
  return new NotFound(
    'ResourceNotFound',
    `The Resource '${ACCOUNT_TYPE}/${name.slice(0, 64)}' under resource group '${group.slice(0, 90)}' was not found.`,
  )
}

/** For the audit record of an operation that answers 201. */
export const CREATED = { httpStatusCode: 201 }

/** An audit entry of an operation on an account that succeeded. */
export function accountAudit(
  account: Account,
  operationName: string,
  description: string,
  /** `httpStatusCode`: the status of the response, where it is not 200. */
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
