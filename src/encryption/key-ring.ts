import type { KeyObject } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { wipe } from '../crypto/wrap.ts'
import { NotFound } from '../http/errors.ts'
import {
  collection,
  put,
  remove,
  type Change,
  type RecordStore,
  type Stored,
  type RecordName,
  type Watch,
} from '../store/records.ts'
import { newServiceKey, openServiceKey, serviceKeyId, type KeyEncryptionKey } from './key-encryption-key.ts'
import { parseKeyIdentifier } from './key-identifier.ts'
import { keyRows, newGeneration, putNew, removeClosed, rowsOf, unwrapDataKey, type KeyRow } from './key-ring-rows.ts'
import { DataKey, type DataKeys } from './data-key.ts'
import { KeyLeases } from './key-lease.ts'
import { KeyRingTampered } from './key-ring-tampered.ts'
import { checkKeyRing, keyStates, putState, type KeyState, type NamedKey } from './key-state.ts'
import { KeyUnavailable } from './key-unavailable.ts'
import type { RootKeys } from './root-key.ts'
import type { VaultConnection, VaultCredential } from './vault-clients.ts'
import { openVaultKey, type VaultKey } from './vault-key.ts'

/** Service-managed key of an account, sealed under the root key; absent while the account is under a customer's key. By account id. */
export const serviceKeys = collection<{ readonly sealed: string }>('encryption.service-keys')

export interface KeyRingOptions {
  readonly records: RecordStore
  readonly rootKeys: RootKeys
  /** Milliseconds. */
  readonly leaseMs: number
  readonly vaults: VaultConnection
  /** A credential for that vault: answers with the account's managed-identity token, and throws IdentityMissing without one. */
  readonly credentialOf: (accountId: string, vaultUri: string) => VaultCredential
  /** Which key the account's settings name; undefined: there are no settings to compare with. */
  readonly settingsOf: (accountId: string) => Promise<NamedKey | undefined>
  /** Called with each answer of a vault. */
  readonly onAnswer?: (outcome: KeyOutcome) => void
}

/** A key ring at one moment, checked. */
export interface KeyRingNow {
  /** By generation; never empty. */
  readonly rows: readonly Stored<KeyRow>[]
  readonly state: Stored<KeyState>
}

/** A read between the two halves of somebody's commit is not tampering, so it is repeated. */
const LOOKS = 3

/** A vault's answer when an account's key was needed. */
export interface KeyOutcome {
  readonly accountId: string
  readonly kekId: string
  /** Absent: the account may get, wrap and unwrap. */
  readonly error?: KeyUnavailable
  /** When the key version expires, if it does and the key was read. */
  readonly expiresOn?: Date
}

/** The data keys of all accounts: which key wraps them, and under which lease they may be used. */
export class KeyRing {
  readonly #options: KeyRingOptions
  readonly #vaultKeys = new Map<string, VaultKey>()
  readonly leases: KeyLeases

  constructor(options: KeyRingOptions) {
    this.#options = options
    this.leases = new KeyLeases(options.leaseMs, accountId => this.#renew(accountId))
  }

  get macKey(): KeyObject {
    return this.#options.rootKeys.mac
  }

  get records(): RecordStore {
    return this.#options.records
  }

  /** R04: a new account's keys under a service-managed key, for the commit of the account itself. */
  async create(accountId: string): Promise<Change[]> {
    const kek = this.newServiceKey(accountId)
    const row = await newGeneration(kek, this.macKey, { accountId, generation: 1 })
    return [kek.kept, putNew(row), putState(this.macKey, undefined, { accountId, kekId: kek.id, ownSince: 1 }, [row])]
  }

  /** Removes every key of the account. After this commit nothing of it can be opened. */
  async destroy(accountId: string): Promise<Change[]> {
    const rows = await Promise.all(
      (['active', 'pending'] as const).map(status => rowsOf(this.records, accountId, status)),
    )
    this.forget(accountId)
    return [
      remove(serviceKeys, accountId),
      remove(keyStates, accountId),
      ...rows.flat().flatMap(({ id, value }) => [remove(keyRows, id), removeClosed(value)]),
    ]
  }

  /** The key-encryption key that currently wraps each generation of the account's data key. */
  async generations(accountId: string): Promise<Map<number, string>> {
    const rows = await rowsOf(this.records, accountId, 'active')
    return new Map(rows.map(({ value }) => [value.generation, value.kekId]))
  }

  /** Id of the key-encryption key that currently wraps the account's data keys. @throws as `read` */
  async currentKekId(accountId: string): Promise<string> {
    return (await this.read(accountId)).state.value.kekId
  }

  /**
   * K2: the rows of the key ring, checked against the key state and the account's settings. Everything that unwraps or changes a
   * data key begins here. @throws 404 KeyRingNotFound, 500 KeyRingTampered
   */
  async read(accountId: string): Promise<KeyRingNow> {
    for (let look = 1; ; look += 1) {
      const rows = await rowsOf(this.records, accountId, 'active')
      const state = await this.records.get(keyStates, accountId)
      const settings = await this.#options.settingsOf(accountId)
      if (rows.length === 0 && state === undefined) throw noDataKeys()
      try {
        return { rows, state: checkKeyRing(this.macKey, accountId, { rows, state, settings }) }
      } catch (error) {
        if (!(error instanceof KeyRingTampered) || look === LOOKS) throw error
        await setImmediate()
      }
    }
  }

  /** A new service-managed key, still to be committed (`kept`). The former one was destroyed when a customer's took its place. */
  newServiceKey(accountId: string): KeyEncryptionKey & { readonly kept: Change } {
    const sealed = newServiceKey(this.#options.rootKeys.service, accountId)
    const kept = put(serviceKeys, accountId, { sealed: sealed.toString('base64') })
    return { ...openServiceKey(this.#options.rootKeys.service, accountId, sealed), kept }
  }

  async serviceKey(accountId: string): Promise<KeyEncryptionKey> {
    const stored = await this.records.get(serviceKeys, accountId)
    if (stored === undefined) throw new KeyRingTampered('its service-managed key is missing from the database')
    return openServiceKey(this.#options.rootKeys.service, accountId, Buffer.from(stored.value.sealed, 'base64'))
  }

  /** Clients are kept, since they hold the vault's challenge and the token. */
  vaultKey(accountId: string, keyId: string): VaultKey {
    const cacheId = `${accountId} ${keyId}`
    const known = this.#vaultKeys.get(cacheId)
    if (known !== undefined) return known
    const { vaults, credentialOf } = this.#options
    const key = parseKeyIdentifier(keyId)
    const opened = openVaultKey(key, credentialOf(accountId, key.vaultUri), vaults)
    if (this.#vaultKeys.size >= 10_000) this.#vaultKeys.clear()
    this.#vaultKeys.set(cacheId, opened)
    return opened
  }

  /**
   * Where another process changed a key ring, an account's identity or its settings, the vault is asked anew at the next use. Where no
   * watch reports the change, the end of the lease has the same effect (R19).
   * @param accountIdOf the account of a record, for records other than the key ring's own
   */
  followOthers(accountIdOf: (written: RecordName) => string | undefined): Watch {
    return this.records.watch(written => {
      if (written === 'lost') return this.leases.endAll()
      for (const name of written) {
        const accountId = name.collection === keyStates.name ? name.id : accountIdOf(name)
        if (accountId !== undefined) this.forget(accountId)
      }
    })
  }

  /** R31: after a change of identity the old one's token and lease must not be used. */
  forget(accountId: string): void {
    for (const cacheId of this.#vaultKeys.keys())
      if (cacheId.startsWith(`${accountId} `)) this.#vaultKeys.delete(cacheId)
    this.leases.end(accountId)
  }

  async kek(accountId: string, kekId: string): Promise<KeyEncryptionKey> {
    return kekId === serviceKeyId(accountId) ? this.serviceKey(accountId) : this.vaultKey(accountId, kekId)
  }

  /** R11, R20: get, wrap and unwrap are each needed. Losing one of them ends the access, so each is tried. */
  async #renew(accountId: string): Promise<DataKeys> {
    const { rows, state } = await this.read(accountId)
    const kek = await this.kek(accountId, state.value.kekId)
    if (!isVaultKey(kek)) return this.#unwrapAll(accountId, rows)
    const outcome = { accountId, kekId: kek.id }
    try {
      const key = kek.read()
      const keys = await this.#unwrapAll(accountId, rows, Promise.all([key, probeWrap(kek)]))
      const { expiresOn } = (await key).properties
      this.#options.onAnswer?.(expiresOn === undefined ? outcome : { ...outcome, expiresOn })
      return keys
    } catch (error) {
      if (!(error instanceof KeyUnavailable)) throw error
      const explained = await kek.explain(error)
      this.#options.onAnswer?.({ ...outcome, error: explained })
      throw explained
    }
  }

  /** @param probe has to succeed as well */
  async #unwrapAll(accountId: string, rows: readonly Stored<KeyRow>[], probe?: Promise<unknown>): Promise<DataKeys> {
    const unwrapped = rows.map(
      async ({ value }) =>
        [value.generation, await unwrapDataKey(await this.kek(accountId, value.kekId), this.macKey, value)] as const,
    )
    const settled = await Promise.allSettled([probe, ...unwrapped])
    const failed = settled.find(result => result.status === 'rejected')
    const byGeneration = new Map<number, DataKey>()
    for (const result of settled.slice(1)) {
      if (result.status !== 'fulfilled' || result.value === undefined) continue
      const [generation, bytes] = result.value as readonly [number, Buffer]
      if (failed === undefined) byGeneration.set(generation, new DataKey(bytes))
      wipe(bytes)
    }
    if (failed !== undefined) throw failed.reason
    const last = rows.at(-1)?.value
    return { current: last?.generation ?? 0, kekId: last?.kekId ?? '', byGeneration }
  }
}

/** The keys under a lease, with that of the generation if the account has it. Another process may have added it since the lease began. */
export async function keysWith(
  { leases, records }: KeyRing,
  accountId: string,
  generation: number | undefined,
): Promise<DataKeys> {
  const held = await leases.keys(accountId)
  if (generation === undefined || held.byGeneration.has(generation) || !records.properties.shared) return held
  return leases.renew(accountId)
}

export function noDataKeys(): NotFound {
  return new NotFound('KeyRingNotFound', 'The account has no data keys: it was deleted.')
}

function isVaultKey(kek: KeyEncryptionKey): kek is VaultKey {
  return 'read' in kek
}

/** An expired key still unwraps, as on Azure, so an expiry alone does not take the data away. */
async function probeWrap(kek: VaultKey): Promise<void> {
  try {
    await kek.wrap(Buffer.alloc(32))
  } catch (error) {
    if (error instanceof KeyUnavailable && error.reason === 'KeyExpired') return
    throw error
  }
}
