import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { calculateJwkThumbprint, exportPKCS8, generateKeyPair, type JWK } from 'jose'
import { openBox, sealBox } from '../crypto/box.ts'
import { commitRecorded } from '../audit/request-context.ts'
import type { Env } from '../base/env.ts'
import { AzureError } from '../http/errors.ts'
import { unlessConflict } from '../store/conflicts.ts'
import { allRecords } from '../store/every-record.ts'
import { leaveOut, put, remove, type RecordStore } from '../store/records.ts'
import { signingKeys, type SigningKey } from './records.ts'

/** Retired keys verify for this long, which is longer than any token lives. */
const retiredForMs = 25 * 3_600_000
/** Keys at a time. Each lives for a day after it was replaced, so many changes a day are possible. */
const maxKeys = 20
/** Milliseconds between two questions to the store about unknown keys. */
const RELOAD_MS = 2000
/** A key signs for so long; then the next one does. */
const signsForMs = 30 * 24 * 3_600_000

interface LoadedKey {
  readonly kid: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  readonly jwk: JWK
  readonly createdAt: number
  readonly retiredAt: number | undefined
}

export interface SigningKeys {
  /** The key that signs. */
  active(): { readonly kid: string; readonly privateKey: KeyObject }
  publicKey(kid: string): KeyObject | undefined
  /** Public keys as RFC 7517 says, with what Entra adds. */
  jwks(): { readonly keys: readonly JWK[] }
  /** Looks for a key of this name that another process made, at most each `RELOAD_MS`. */
  find(kid: string): Promise<KeyObject | undefined>
  /** Makes a new key where the current one has signed for 30 days. */
  rotateIfDue(): Promise<void>
  /** A new key signs from now on; tokens of the old one stay valid until they expire. @throws 429 after 19 times a day */
  rotate(): Promise<void>
}

interface SigningKeyOptions {
  readonly records: RecordStore
  readonly env: Env
  readonly sealingKey: KeyObject
}

/** Opens the token-signing keys (RSA 2048, sealed at rest), and makes the first one. */
export async function openSigningKeys(options: SigningKeyOptions): Promise<SigningKeys> {
  const { records, env, sealingKey } = options
  let loaded: LoadedKey[] = []
  let lookedAt = -Infinity
  let rotating: Promise<void> | undefined

  async function load(): Promise<void> {
    const stored = await allRecords(records, signingKeys, { onTampered: leaveOut })
    loaded = await Promise.all(stored.map(async ({ value }) => openKey(sealingKey, value)))
    loaded.sort((a, b) => Number(a.retiredAt !== undefined) - Number(b.retiredAt !== undefined))
  }

  /** Callers that come while a key is made wait for the same key. */
  function rotate(): Promise<void> {
    rotating ??= addKey(options)
      .then(load)
      .finally(() => (rotating = undefined))
    return rotating
  }

  await load()
  if (loaded.length === 0) {
    await rotate().catch(unlessConflict)
    await load()
  }
  const active = (): LoadedKey => {
    const [first] = loaded
    if (!first || first.retiredAt !== undefined) throw new Error('There is no key that signs tokens.')
    return first
  }
  const current = (): LoadedKey[] =>
    loaded.filter(key => key.retiredAt === undefined || env.now() - key.retiredAt <= retiredForMs)
  const publicKey = (kid: string): KeyObject | undefined => current().find(key => key.kid === kid)?.publicKey
  return {
    active,
    publicKey,
    async find(kid) {
      const known = publicKey(kid)
      // Tokens of keys that never existed must not each cause a question to the store.
      if (known !== undefined || performance.now() - lookedAt < RELOAD_MS) return known
      lookedAt = performance.now()
      await load()
      return publicKey(kid)
    },
    jwks: () => ({ keys: current().map(key => key.jwk) }),
    async rotateIfDue() {
      if (env.now() - active().createdAt >= signsForMs) await rotate()
    },
    rotate,
  }
}

/** A new key that signs from now on; keys whose tokens have all expired go. @throws 429 */
async function addKey({ records, env, sealingKey }: SigningKeyOptions): Promise<void> {
  const now = env.now()
  const stored = await allRecords(records, signingKeys, { onTampered: leaveOut })
  const old = stored.flatMap(({ id, value, version }) => {
    if (value.retiredAt === undefined) return [put(signingKeys, id, { ...value, retiredAt: now }, version)]
    return now - value.retiredAt > retiredForMs ? [remove(signingKeys, id, version)] : []
  })
  const kept = stored.length - old.filter(({ value }) => value === undefined).length
  if (kept >= maxKeys) {
    const message = `The signing key was changed ${maxKeys - 1} times within a day: tokens of all these keys are still valid. Try again later.`
    throw new AzureError('TooManyRequests', 429, message, { headers: { 'retry-after': '3600' } })
  }
  const next = await newKey(sealingKey, now)
  // A key that is due is replaced by the first request that comes.
  const operation = { operationName: 'OwnKey.Directory/signingKeys/rotate/action' }
  await commitRecorded(records, [put(signingKeys, next.kid, next, 0), ...old], { operation })
}

async function newKey(sealingKey: KeyObject, now: number): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { modulusLength: 2048, extractable: true })
  const pkcs8 = await exportPKCS8(privateKey)
  const { n, e } = (await crypto.subtle.exportKey('jwk', publicKey)) as JWK
  const kid = await calculateJwkThumbprint({ kty: 'RSA', n: n ?? '', e: e ?? '' })
  return { kid, sealed: sealBox(sealingKey, place(kid), Buffer.from(pkcs8)).toString('base64url'), createdAt: now }
}

async function openKey(sealingKey: KeyObject, record: SigningKey): Promise<LoadedKey> {
  const pkcs8 = openBox(sealingKey, place(record.kid), Buffer.from(record.sealed, 'base64url'))
  const privateKey = createPrivateKey(pkcs8)
  pkcs8.fill(0)
  const publicKey = createPublicKey(privateKey)
  const { n, e } = publicKey.export({ format: 'jwk' })
  const jwk: JWK = { kty: 'RSA', use: 'sig', alg: 'RS256', kid: record.kid, x5t: record.kid, n: n ?? '', e: e ?? '' }
  return { kid: record.kid, privateKey, publicKey, jwk, createdAt: record.createdAt, retiredAt: record.retiredAt }
}

function place(kid: string): Uint8Array {
  return Buffer.from(`entra signing key ${kid}`)
}
