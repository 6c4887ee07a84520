import type { SealedBlobs } from '../encryption/sealed-blobs.ts'
import { unlinkAfter } from '../encryption/blob-commits.ts'
import { blobRecords } from '../encryption/blob-records.ts'
import { keyRows } from '../encryption/key-ring-rows.ts'
import { assignmentsWithin } from '../arm/assignments-within.ts'
import { eachForItself } from '../base/each-for-itself.ts'
import { AzureError, Conflict } from '../http/errors.ts'
import { changedMeanwhile } from '../store/conflicts.ts'
import { allRecords, everyRecord } from '../store/every-record.ts'
import { underLease } from '../store/leases.ts'
import { leaveOut, put, remove, type Change, type Collection, type Stored } from '../store/records.ts'
import { unlessMade } from '../store/storage-errors.ts'
import { accountKey, accountNames, accounts, subdomains, type Account } from './account.ts'
import { accountAudit, type AccountServices } from './accounts.ts'
import { deployments } from './deployment.ts'
import { reEncryptions } from './re-encryption.ts'
import type { RunningModels } from './running-models.ts'

/** What depends on an account in modules above this one. */
export interface Dependents {
  /** Ends what runs for the account, in a way that it can go on after a restore. */
  stop(accountId: string): Promise<void>
  /** Collections with ids `<account id>/…`, which are removed with the account. */
  readonly collections: readonly Collection<unknown>[]
}

export interface AccountLifeOptions extends Pick<
  AccountServices,
  'accounts' | 'records' | 'env' | 'leases' | 'audit' | 'keyRing' | 'keyStatuses' | 'identities' | 'resourceManager'
> {
  readonly blobs: SealedBlobs
  readonly running: RunningModels
  readonly dependents: Dependents
}

/** As Azure: a deleted account can be restored for 48 hours. */
const RETENTION_MS = 48 * 3_600_000
const PAGE = 500
/** Also where no request asks for it: a purge that is due, or what goes on after a stop of the service. */
const MAKING_ROOM = { reserve: 'last' } as const
/** Milliseconds without a sign of life after which another process goes on with a purge. */
const LEASE_MS = 30_000

/** Deletes, restores and purges accounts. */
export class AccountLife {
  readonly #options: AccountLifeOptions

  constructor(options: AccountLifeOptions) {
    this.#options = options
  }

  /** Soft-deletes: its host, identity, jobs and deployments end now, and its data is kept under its keys. R28: the processes end. */
  async delete(stored: Stored<Account>, fence: readonly Change[] = []): Promise<void> {
    const { audit, env, identities, keyRing } = this.#options
    const { accountId, identity } = stored.value
    const at = env.now()
    const value: Account = { ...stored.value, deleted: { at, purgeAt: at + RETENTION_MS } }
    const disabled = identity === undefined ? [] : await identities.enable(identity.principalId, false)
    const entry = accountAudit(value, 'Microsoft.CognitiveServices/accounts/delete', 'Soft-deleted')
    await audit
      .append(entry, [...fence, put(accounts, accountId, value, stored.version), ...disabled], MAKING_ROOM)
      .catch(changedMeanwhile('The account'))
    await this.stop(accountId)
    keyRing.forget(accountId)
  }

  /** Ends jobs and deployments. Stopping them twice does no harm. */
  async stop(accountId: string): Promise<void> {
    const { records, dependents, running } = this.#options
    const tasks = eachForItself()
    // R28: models end, whatever becomes of the jobs.
    await tasks.attempt(() => dependents.stop(accountId))
    const own = await allRecords(records, deployments, { prefix: `${accountId}/` })
    await Promise.all(own.map(({ value }) => tasks.attempt(() => running.stop(value))))
    tasks.end()
  }

  /** Restores the account with its keys, data, deployments and identity. */
  async restore(stored: Stored<Account>): Promise<void> {
    if (stored.value.purging) throw beingPurged(stored.value)
    const { audit, identities, resourceManager } = this.#options
    const { deleted: _, ...value } = stored.value
    const { held } = await resourceManager.groupForNew(value.subscriptionId, value.group)
    const enabled = value.identity === undefined ? [] : await identities.enable(value.identity.principalId, true)
    const entry = accountAudit(value, 'Microsoft.CognitiveServices/accounts/write', 'Restored')
    await audit
      .append(entry, [held, put(accounts, value.accountId, value, stored.version), ...enabled])
      .catch(changedMeanwhile('The account'))
  }

  /** R26, R28: destroys the account's keys first, which makes all its data unreadable, then removes what is left of it. @throws 409; ErasureIncomplete, when it is done */
  async purge({ id, value }: Stored<Account>): Promise<void> {
    if (!(await this.#tryPurge(id)))
      throw new Conflict('AccountBeingPurged', `The account '${value.name}' is being purged already.`)
  }

  /** False where another process is purging it. */
  async #tryPurge(accountId: string): Promise<boolean> {
    const lease = await this.#options.leases.claim(`purge/${accountId}`, LEASE_MS)
    if (lease === undefined) return false
    await underLease(lease, () => this.#purge(accountId, lease.fence))
    return true
  }

  async #purge(accountId: string, fence: readonly Change[]): Promise<void> {
    const { records } = this.#options
    // What was read before the lease may be long past: another process has purged the account since, or it was restored.
    const stored = await records.get(accounts, accountId)
    if (stored === undefined) return
    if (!stored.value.purging) await this.#beginPurge(stored, fence)
    await this.stop(accountId)
    await this.#destroyKeys(accountId, fence)
    const blobs = await this.#removeBlobs(accountId, fence)
    for (const collection of [deployments, ...this.#options.dependents.collections])
      await this.#removeAll(collection, accountId, fence)
    await this.#endPurge(accountId, fence, blobs)
  }

  /** Again where a change of the key that was under way came in between. After the first commit none is committed any more. */
  async #destroyKeys(accountId: string, fence: readonly Change[]): Promise<void> {
    const { records, keyRing } = this.#options
    do {
      const destroyed = await keyRing.destroy(accountId)
      const changes = [...fence, ...destroyed, remove(reEncryptions, accountId)]
      await records.commit(changes, { shred: true }).catch(unlessMade)
    } while ((await records.count(keyRows, `${accountId}/`)) > 0)
  }

  async #beginPurge({ id, value, version }: Stored<Account>, fence: readonly Change[]): Promise<void> {
    if (value.deleted === undefined)
      throw new Conflict('AnotherOperationInProgress', `The account '${value.name}' was restored in the meantime.`)
    const marked = put(accounts, id, { ...value, purging: true as const }, version)
    const entry = accountAudit(value, `${DELETED}/delete`, 'Purge begun')
    await this.#options.audit.append(entry, [...fence, marked], MAKING_ROOM).catch(changedMeanwhile('The account'))
  }

  /** The account with its names, which from then on another account can have: they are removed only together with it. */
  async #endPurge(accountId: string, fence: readonly Change[], blobs: number): Promise<void> {
    const { audit, records, keyStatuses, identities } = this.#options
    const stored = await records.get(accounts, accountId)
    if (stored === undefined) return
    const { id, subscriptionId, group, name, subdomain, identity } = stored.value
    const { changes: status, settled } = keyStatuses.change(accountId, undefined)
    const entry = accountAudit(stored.value, `${DELETED}/delete`, 'Purged: keys destroyed, blobs removed', { blobs })
    const changes = [
      ...fence,
      remove(accounts, accountId, stored.version),
      remove(accountNames, accountKey(subscriptionId, group, name)),
      remove(subdomains, subdomain),
      ...(identity === undefined ? [] : await identities.remove(identity.principalId)),
      ...(await assignmentsWithin(records, id)),
      ...status,
    ]
    // Shredded, so that it also erases what the disk did not let an earlier step erase, or says so.
    const commit = audit.append(entry, changes, { shred: true, ...MAKING_ROOM }).catch(changedMeanwhile('The account'))
    await unlinkAfter(commit, [{ unlink: async () => settled() }])
  }

  /** R32: no vault is asked any more with a token of the tenant that the subscription has left. */
  async forgetKeys(subscriptionId: string): Promise<void> {
    const { accounts: service, keyRing } = this.#options
    for (const { id } of await service.list(subscriptionId)) keyRing.forget(id)
  }

  /** Purges what is due by the clock, and what a stop of the service broke off. A failure at one account does not hold up others. */
  async maintain(): Promise<void> {
    const { records, env } = this.#options
    const tasks = eachForItself()
    for await (const stored of everyRecord(records, accounts, { onTampered: leaveOut })) {
      const { deleted, purging } = stored.value
      const isDue = purging || (deleted !== undefined && deleted.purgeAt <= env.now())
      if (isDue) await tasks.attempt(async () => void (await this.#tryPurge(stored.id)))
    }
    tasks.end()
  }

  async #removeBlobs(accountId: string, fence: readonly Change[]): Promise<number> {
    const { records } = this.#options
    for (let count = 0; ;) {
      const page = await records.list(blobRecords, { prefix: `${accountId}/`, limit: PAGE })
      if (page.length === 0) return count
      const removals = page.map(stored => this.#options.blobs.removeStored(accountId, stored))
      // The files first: while their records are there, a purge that was broken off finds them again.
      for (const { unlinkFirst } of removals) await unlinkFirst()
      const changes = [...fence, ...removals.flatMap(one => one.changes)]
      await records.commit(changes, { shred: true }).catch(unlessMade)
      count += page.length
    }
  }

  async #removeAll(collection: Collection<unknown>, accountId: string, fence: readonly Change[]): Promise<void> {
    const { records } = this.#options
    for (;;) {
      const page = await records.list(collection, { prefix: `${accountId}/`, limit: PAGE })
      if (page.length === 0) return
      await records.commit([...fence, ...page.map(({ id }) => remove(collection, id))])
    }
  }
}

const DELETED = 'Microsoft.CognitiveServices/locations/resourceGroups/deletedAccounts'

function beingPurged({ name }: Account): Conflict {
  return new Conflict('AccountBeingPurged', `The account '${name}' is being purged: it can't be restored any more.`)
}

/** The name belongs to a soft-deleted account. */
export function mustRestore({ id }: Account): AzureError {
  return new Conflict(
    'FlagMustBeSetForRestore',
    `An existing resource with ID '${id}' has been soft-deleted. To restore the resource, you must specify 'restore' to be 'true' in the property. ` +
      "If you don't want to restore existing resource, please purge it first.",
  )
}
