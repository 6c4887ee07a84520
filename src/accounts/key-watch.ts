import { changeKey, type KeyChange } from '../encryption/change-key.ts'
import { formatKeyIdentifier, keyIdentifierFrom } from '../encryption/key-identifier.ts'
import { KeyRingTampered } from '../encryption/key-ring-tampered.ts'
import type { VaultKey } from '../encryption/vault-key.ts'
import { AzureError } from '../http/errors.ts'
import type { Repeating } from '../base/repeatedly.ts'
import { everyRecord } from '../store/every-record.ts'
import { leading } from '../store/leading.ts'
import { leaveOut } from '../store/records.ts'
import type { Change, Stored } from '../store/records.ts'
import { accounts, type Account } from './account.ts'
import { accountAudit, type AccountServices } from './accounts.ts'
import { checkAccess, checkKey } from './requirements.ts'
import { requirementsNotMet } from './unmet-requirement.ts'

/** Accounts that are asked about at the same time. */
const AT_ONCE = 16
const OPERATION = 'Microsoft.CognitiveServices/accounts/encryption/rotate'

type WatchServices = Pick<AccountServices, 'records' | 'env' | 'leases' | 'audit' | 'keyRing' | 'keyStatuses'>

/**
 * Regularly asks the vaults of all accounts under customer-managed keys, so that the state of a key is known and audited also
 * while nobody uses it. Accounts whose key URI has no version follow a rotation (R18). Each question makes three or four audit
 * records in the vault, so an unused key is asked about less often than once a lease.
 */
export class KeyWatch {
  readonly #services: WatchServices
  readonly #intervalMs: number
  readonly #log: (message: string, error: unknown) => void
  /** The version that an account could not follow, so that it is recorded once. By account id. */
  readonly #refused = new Map<string, string>()
  #rounds: Repeating | undefined
  #closed = false

  /** @param intervalMs from the end of one round to the next */
  constructor(services: WatchServices, intervalMs: number, log: (message: string, error: unknown) => void) {
    this.#services = services
    this.#intervalMs = intervalMs
    this.#log = log
  }

  start(): void {
    const failed = (error: unknown): void => this.#log('The watch over customer-managed keys failed', error)
    // One process asks for all processes.
    const task = { name: 'key-watch', everyMs: this.#intervalMs }
    this.#rounds = leading(this.#services.leases, task, () => this.#ask(), failed)
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#rounds?.stop()
  }

  async #ask(): Promise<void> {
    const { records } = this.#services
    const all = everyRecord(records, accounts, { onTampered: leaveOut })
    await Promise.all(Array.from({ length: AT_ONCE }, () => this.#askEach(all)))
  }

  /** One of several workers that take accounts from the same list. */
  async #askEach(all: AsyncGenerator<Stored<Account>>): Promise<void> {
    for (let next = await all.next(); next.done !== true && !this.#closed; next = await all.next()) {
      const account = next.value.value
      if (!isWatched(account)) continue
      try {
        await this.#askOne(account)
      } catch (error) {
        // The vault's answer is in the account's state already. The account may also have been deleted meanwhile.
        if (!(error instanceof AzureError) || error instanceof KeyRingTampered)
          this.#log(`The key of the account ${account.accountId} can't be watched`, error)
      }
    }
  }

  async #askOne(account: Account): Promise<void> {
    const { keyRing, keyStatuses } = this.#services
    const known = keyStatuses.of(account.accountId)
    const wrapping = await keyRing.currentKekId(account.accountId)
    // A crash can leave the state of the former key. Then the watch would not recognise the vault's answers about this one.
    const isUnknown = wrapping.startsWith('https:') && wrapping !== known?.keyIdentifier
    if (isUnknown && keyStatuses.of(account.accountId) === known) keyStatuses.adopt(account.accountId, wrapping)
    if (keyStatuses.sinceAsked(account.accountId) >= this.#intervalMs) await keyRing.leases.probe(account.accountId)
    const settings = account.encryption.keyVaultProperties
    if (settings?.keyVersion === '' && keyStatuses.of(account.accountId)?.state === 'Active')
      await this.#follow(account)
  }

  /** A key URI without a version means the latest one, so the data keys are re-wrapped when that changes. */
  async #follow(account: Account): Promise<void> {
    const { keyRing, keyStatuses, env } = this.#services
    const { accountId, identity, encryption } = account
    if (encryption.keyVaultProperties === undefined || identity === undefined) return
    const key = keyIdentifierFrom(encryption.keyVaultProperties)
    const present = keyStatuses.of(accountId)?.keyIdentifier
    const latest = await keyRing.vaultKey(accountId, formatKeyIdentifier(key)).read()
    const { version } = latest.properties
    if (version === undefined) return
    const next = keyRing.vaultKey(accountId, formatKeyIdentifier({ ...key, version }))
    if (next.id === present) return
    try {
      const ofKey = checkKey(latest, env.now())
      const unmet = ofKey.length > 0 ? ofKey : (await checkAccess(next, identity)).unmet
      if (unmet.length > 0) throw requirementsNotMet(unmet)
      await this.#switch(account, present, next)
      this.#refused.delete(accountId)
    } catch (error) {
      if (error instanceof SettingsChanged) return
      if (!(error instanceof AzureError)) throw error
      await this.#recordRefusal(account, present, next.id, error)
    }
  }

  async #switch(account: Account, present: string | undefined, next: VaultKey): Promise<void> {
    const { keyRing, keyStatuses, audit, records } = this.#services
    const { accountId } = account
    const { changes: status, settled } = keyStatuses.change(accountId, next.id)
    const commit = async (changes: readonly Change[], { generation, change }: KeyChange): Promise<void> => {
      // Nobody else changes the key now, but somebody may have done so before.
      const now = (await records.get(accounts, accountId))?.value
      if (JSON.stringify(now?.encryption) !== JSON.stringify(account.encryption)) throw new SettingsChanged()
      const properties = { kid: next.id, from: present, generation, change }
      const entry = accountAudit(account, OPERATION, 'Follow the rotation of the customer-managed key', properties)
      await audit.append(entry, [...status, ...changes])
      settled()
    }
    await changeKey(keyRing, accountId, next, commit, { yields: true })
  }

  async #recordRefusal(account: Account, present: string | undefined, next: string, error: AzureError): Promise<void> {
    // Another change is under way, so the next round looks at its result.
    if (error.status === 409 || this.#refused.get(account.accountId) === next) return
    this.#refused.set(account.accountId, next)
    const properties = { kid: next, from: present, httpStatusCode: error.status, errorCode: error.code }
    const entry = accountAudit(account, OPERATION, error.message.slice(0, 1000), properties)
    await this.#services.audit.append({ ...entry, resultType: 'Failed' })
  }
}

/** Soft-deleted accounts are left out, since their identity asks no vault. */
function isWatched({ encryption, deleted }: Account): boolean {
  return encryption.keyVaultProperties !== undefined && deleted === undefined
}

/** Thrown where the account is now under another key, or under service-managed keys. */
class SettingsChanged extends Error {}
