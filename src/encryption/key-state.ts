import { createHash, type KeyObject } from 'node:crypto'
import { mac, verifyMac } from '../crypto/derive.ts'
import { encodeContext } from '../crypto/wrap.ts'
import { collection, put, type Change, type Stored } from '../store/records.ts'
import { serviceKeyId } from './key-encryption-key.ts'
import { formatKeyIdentifier, type KeyIdentifier } from './key-identifier.ts'
import { hasMac, type KeyRow } from './key-ring-rows.ts'
import { KeyRingTampered } from './key-ring-tampered.ts'

/**
 * The state of an account's key ring. The MAC of a row proves that this service once wrote it, not that it is the present
 * one. This record proves that, and every change of the key ring writes it in the same commit.
 */
export interface KeyState {
  readonly accountId: string
  /** The key that wraps every generation: a key URI with version, or `service:<account id>`. */
  readonly kekId: string
  /** The generation for sealing. */
  readonly generation: number
  /** The first generation that only the present key (in any version) has ever wrapped. */
  readonly ownSince: number
  /** Counts the changes of the key ring from 1. */
  readonly change: number
  /** Base64 SHA-256 over the MACs of the active rows, by generation. */
  readonly rows: string
  /** Base64 HMAC-SHA-256 over all of the above, under a key that is not in the database. */
  readonly mac: string
}

/** By account id. */
export const keyStates = collection<KeyState>('encryption.key-states')

/** The key that an account's settings name; without a version any version of it. */
export type NamedKey = 'service' | KeyIdentifier

/** Writes the state of these rows over the former one. */
export function putState(
  macKey: KeyObject,
  before: Stored<KeyState> | undefined,
  now: Pick<KeyState, 'accountId' | 'kekId' | 'ownSince'>,
  rows: readonly KeyRow[],
): Change {
  const generation = Math.max(...rows.map(row => row.generation))
  const change = (before?.value.change ?? 0) + 1
  const unsigned = { ...now, generation, change, rows: digestOf(rows) }
  const state: KeyState = { ...unsigned, mac: mac(macKey, ...macParts(unsigned)).toString('base64') }
  return put(keyStates, now.accountId, state, before?.version ?? 0)
}

/** Another version of the same key is the same key, since whoever may use one may use the other. */
export function isSameKey(kekId: string, other: string): boolean {
  return withoutVersion(kekId) === withoutVersion(other)
}

/** K2: records that were read at one moment must fit together. @throws KeyRingTampered */
export function checkKeyRing(
  macKey: KeyObject,
  accountId: string,
  found: {
    readonly rows: readonly Stored<KeyRow>[]
    readonly state: Stored<KeyState> | undefined
    readonly settings: NamedKey | undefined
  },
): Stored<KeyState> {
  const { state, settings } = found
  const rows = found.rows.map(({ value }) => value)
  if (state === undefined) throw new KeyRingTampered('the record of its present key is missing')
  const { kekId, generation, ownSince, change, rows: digest } = state.value
  const parts = macParts({ accountId, kekId, generation, ownSince, change, rows: digest })
  if (state.value.accountId !== accountId || !verifyMac(macKey, Buffer.from(state.value.mac, 'base64'), ...parts))
    throw new KeyRingTampered('the record of its present key is not what this service wrote')
  const isService = kekId === serviceKeyId(accountId)
  for (const row of rows) {
    if (!hasMac(macKey, row) || row.accountId !== accountId)
      throw new KeyRingTampered(`the row of generation ${row.generation} is not what this service wrote`)
    if (row.kekId !== kekId)
      throw new KeyRingTampered(
        `generation ${row.generation} is wrapped by ${nameOf(row.kekId)}, and the account is under ${nameOf(kekId)}`,
      )
  }
  if (digestOf(rows) !== digest || rows.at(-1)?.generation !== generation)
    throw new KeyRingTampered('its rows are not the present ones')
  if (settings !== undefined && (settings === 'service') !== isService)
    throw new KeyRingTampered(
      `they are wrapped by ${nameOf(kekId)}, and the settings say ${settings === 'service' ? "the service's own key" : formatKeyIdentifier(settings)}`,
    )
  if (settings !== undefined && settings !== 'service' && !isNamed(settings, kekId))
    throw new KeyRingTampered(`they are wrapped by ${kekId}, and the settings say ${formatKeyIdentifier(settings)}`)
  return state
}

/** Whether the settings name this key. */
export function isNamed(settings: NamedKey, kekId: string): boolean {
  if (settings === 'service') return kekId.startsWith('service:')
  const named = formatKeyIdentifier(settings).toLowerCase()
  const key = kekId.toLowerCase()
  return settings.version === undefined ? key.startsWith(`${named}/`) : key === named
}

function nameOf(kekId: string): string {
  return kekId.startsWith('service:') ? "the service's own key" : kekId
}

function withoutVersion(kekId: string): string {
  return kekId.startsWith('service:') ? kekId : kekId.replace(/\/[0-9a-f]{32}$/, '').toLowerCase()
}

function digestOf(rows: readonly KeyRow[]): string {
  const ordered = rows.toSorted((one, other) => one.generation - other.generation)
  return createHash('sha256')
    .update(encodeContext('key ring rows', ...ordered.map(row => row.mac)))
    .digest('base64')
}

function macParts(state: Omit<KeyState, 'mac'>): (string | number)[] {
  const { accountId, kekId, generation, ownSince, change, rows } = state
  return ['key ring state', accountId, kekId, generation, ownSince, change, rows]
}
