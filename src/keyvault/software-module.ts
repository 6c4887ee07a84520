import { createSecretKey } from 'node:crypto'
import { ecPublicJwk, exportEcPrivate, generateEc, importEcJwk, importEcPrivate, type EcKey } from '../crypto/ec.ts'
import { exportPrivate, generateRsa, importPrivate, importRsaJwk, publicJwk, type RsaKey } from '../crypto/rsa.ts'
import type { Env } from '../base/env.ts'
import { badParameter } from './errors.ts'
import type { KeyModule, KeySpec, NewKey, PrivateJwk, UsableKey } from './key-module.ts'
import type { Curve, KeyType } from './key-record.ts'
import {
  asBadParameter,
  ecOperations,
  memberTarget,
  octOperations,
  operationTarget,
  rsaOperations,
} from './software-operations.ts'
import { trimEnd } from '../base/trim.ts'

const CURVE_BITS: Readonly<Record<Curve, number>> = { 'P-256': 256, 'P-384': 384, 'P-521': 521, 'P-256K': 256 }
const OCT_BITS = [128, 192, 256]
/** Key generations at a time. They occupy threads that all other operations need. */
const MAX_GENERATIONS = 2

/** Keys in software: OpenSSL does the work, and the material is stored sealed in the records. */
export function openSoftwareModule(env: Pick<Env, 'randomBytes'>): KeyModule {
  const inTurn = limiter(MAX_GENERATIONS)
  return {
    generate: spec =>
      inTurn(() =>
        asBadParameter(
          () => generate(env, spec),
          field => field,
        ),
      ),
    importKey: jwk => asBadParameter(() => importKey(jwk), memberTarget),
    importSecret: (kty, secret) =>
      asBadParameter(
        () => importSecret(kty, secret),
        () => 'key.key_hsm',
      ),
    async open(kty, material) {
      const usable = openMaterial(kty, material)
      return {
        perform: (operation, request) =>
          asBadParameter(() => usable.perform(operation, request), operationTarget(operation)),
      }
    },
  }
}

async function generate(env: Pick<Env, 'randomBytes'>, spec: KeySpec): Promise<NewKey> {
  if (spec.kty === 'oct-HSM') return newOct(env.randomBytes(spec.size / 8))
  if ('curve' in spec) return newEc(await generateEc(spec.curve))
  return newRsa(await generateRsa(spec.size, spec.publicExponent))
}

async function importKey(jwk: PrivateJwk): Promise<NewKey> {
  if (jwk.kty === 'oct-HSM') {
    const material = Buffer.from(jwk['k'] ?? '', 'base64url')
    if (OCT_BITS.includes(material.length * 8)) return newOct(material)
    throw badParameter(`'key.k' must hold ${OCT_BITS.join(', ')} bits in base64url.`, 'key.k')
  }
  const members = withoutPadding(jwk)
  if (jwk.kty === 'EC' || jwk.kty === 'EC-HSM') return newEc(importEcJwk(members))
  return newRsa(await importRsaJwk(members))
}

/** Goes through a JSON Web Key, whose import checks the numbers. */
async function importSecret(kty: KeyType, secret: Buffer): Promise<NewKey> {
  if (kty === 'oct-HSM') return importKey({ kty, k: secret.toString('base64url') })
  const key = kty.startsWith('EC') ? importEcPrivate(secret) : importPrivate(secret)
  const jwk = key.privateKey.export({ format: 'jwk' }) as Record<string, string>
  // node:crypto's name is secp256k1, Key Vault's is P-256K.
  return importKey({ ...jwk, ...('curve' in key ? { crv: key.curve } : {}), kty })
}

/** Removes absent members and base64 padding, since some clients send both. */
function withoutPadding(jwk: PrivateJwk): Record<string, string> {
  const members = Object.entries(jwk).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, trimEnd(value, '=')] as const],
  )
  return Object.fromEntries(members)
}

function newRsa(key: RsaKey): NewKey {
  const { n, e } = publicJwk(key)
  return { size: key.bits, publicPart: { n, e }, material: exportPrivate(key) }
}

function newEc(key: EcKey): NewKey {
  const { crv, x, y } = ecPublicJwk(key)
  return { size: CURVE_BITS[crv], publicPart: { crv, x, y }, material: exportEcPrivate(key) }
}

function newOct(material: Buffer): NewKey {
  return { size: material.length * 8, publicPart: {}, material }
}

function openMaterial(kty: Parameters<KeyModule['open']>[0], material: Buffer): UsableKey {
  if (kty === 'oct-HSM') return octOperations(createSecretKey(material))
  if (kty === 'EC' || kty === 'EC-HSM') return ecOperations(importEcPrivate(material))
  return rsaOperations(importPrivate(material))
}

function limiter(width: number): <T>(run: () => Promise<T>) => Promise<T> {
  let running = 0
  const waiting: (() => void)[] = []
  return async run => {
    if (running >= width) await new Promise<void>(resolve => waiting.push(resolve))
    else running++
    try {
      return await run()
    } finally {
      const next = waiting.shift()
      if (next === undefined) running--
      else next()
    }
  }
}
