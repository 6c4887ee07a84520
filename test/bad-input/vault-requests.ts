import { generateKeyPairSync, randomBytes } from 'node:crypto'
import type { Route } from '../../src/http/route.ts'
import { mutated, strangeText, strangeValue, type Random } from '../support/random.ts'
import { templateOf, type Names } from './templates.ts'

/** Imported keys, so that the test knows their private halves. */
export function knownKeys() {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' })
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })
  const oct = { kty: 'oct', k: randomBytes(32).toString('base64url') }
  const bytes = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'base64url')
  const rsaSecrets = (['d', 'p', 'q', 'dp', 'dq', 'qi'] as const).map(
    name => [`rsa.${name}`, bytes(rsa[name])] as const,
  )
  const secrets = { ...Object.fromEntries(rsaSecrets), 'ec.d': bytes(ec.d), 'oct.k': bytes(oct.k) }
  return { rsa, ec, oct, secrets }
}

export type KnownKeys = ReturnType<typeof knownKeys>

export interface Request {
  readonly route: Route
  readonly method: string
  readonly path: string
  readonly body: string | undefined
  /** Left out, or spoilt. */
  readonly authorization: 'right' | 'wrong' | 'none'
}

export interface Place {
  readonly subscription: string
  readonly group: string
  readonly location: string
  /** The vault for data-plane calls. */
  readonly vault: string
  /** What may be changed, deleted and purged. */
  readonly spare: string
  readonly versions: Readonly<Record<string, string>>
  readonly names: Names
  readonly keys: KnownKeys
  /** Values that the vault made, which pass the first checks of the operations that take them. */
  readonly wrapped: string
  readonly signature: string
  readonly backup: string
}

/** On these paths the key may be lost or changed. */
const SPARE =
  /^(POST|PUT|PATCH|DELETE) \/(keys\/:name|keys\/:name\/:version|keys\/:name\/(create|rotate|rotationpolicy)|deletedkeys.*)$/

/** One request to the route, valid or with a wrong part. */
export function mutatedRequest(random: Random, route: Route, place: Place): Request {
  const method = random.chance(0.98) ? route.method : random.pick(['GET', 'POST', 'OPTIONS'])
  const roll = random.next()
  const authorization = roll < 0.04 ? 'none' : roll < 0.08 ? 'wrong' : 'right'
  return {
    route,
    method,
    path: `${pathOf(random, route, place)}?${queryOf(random, route)}`,
    body: bodyOf(random, route, place),
    authorization,
  }
}

function pathOf(random: Random, route: Route, place: Place): string {
  const isSpare = SPARE.test(`${route.method} ${route.path}`) || random.chance(0.1)
  const name = isSpare ? random.pick(['spare', 'Spare', 'spare-2']) : random.pick(['rsa', 'RSA', 'ec', 'oct'])
  const params: Readonly<Record<string, string>> = {
    subscription: place.subscription,
    group: place.group,
    location: place.location,
    vault: place.spare,
    setting: 's',
    update: random.pick(['add', 'replace', 'remove']),
    name,
    version: place.versions[name.toLowerCase()] ?? '0'.repeat(32),
  }
  const segments = route.path.split('/').slice(1)
  const parts = segments.map(segment => {
    const right = segment.startsWith(':') ? (params[segment.slice(1)] ?? 'x') : segment
    return inUrl(random.chance(0.03) ? strangeText(random) : right)
  })
  if (random.chance(0.02)) parts.splice(random.below(parts.length), 1)
  return `/${parts.join(random.chance(0.02) ? '//' : '/')}`
}

function queryOf(random: Random, route: Route): string {
  const version = route.host === 'vault' ? '7.6' : /insights/.test(route.path) ? '2021-05-01-preview' : '2023-07-01'
  const query: [string, string][] = random.chance(0.97)
    ? [['api-version', random.chance(0.03) ? strangeText(random) : version]]
    : []
  while (random.chance(0.1))
    query.push([random.pick(['maxresults', '$skiptoken', '$top', '$filter', 'api-version']), strangeText(random)])
  return query.map(([name, value]) => `${inUrl(name)}=${inUrl(value)}`).join('&')
}

function bodyOf(random: Random, route: Route, place: Place): string | undefined {
  if (['GET', 'DELETE'].includes(route.method) && random.chance(0.95)) return undefined
  const template = bodyTemplate(random, route, place)
  let value = random.chance(0.2) ? template : mutated(random, template)
  if (random.chance(0.2)) value = mutated(random, value)
  const text = JSON.stringify(value) ?? ''
  if (random.chance(0.04)) return text.slice(0, random.below(text.length + 1))
  return random.chance(0.02) ? strangeText(random).toWellFormed() : text
}

function bodyTemplate(random: Random, route: Route, place: Place): unknown {
  const { names, keys } = place
  const operation = route.path.split('/').at(-1)
  if (route.method === 'PUT' && route.path === '/keys/:name') {
    const key = random.pick([keys.rsa, keys.ec, keys.oct])
    return { Hsm: random.chance(0.5), key: { ...key, key_ops: [] }, attributes: { enabled: true }, tags: { a: 'b' } }
  }
  if (operation === 'checknameavailability') return { name: 'kv-free', type: 'Microsoft.KeyVault/vaults' }
  if (operation === 'restore' && random.chance(0.5)) return { value: place.backup }
  const known = templateOf(route.method, route.path, names) ?? strangeValue(random)
  if (typeof known !== 'object' || known === null || !('alg' in known)) return known
  if (operation === 'decrypt' || operation === 'unwrapkey') return { ...known, value: place.wrapped }
  if (operation === 'verify' && random.chance(0.5)) return { ...known, value: place.signature }
  return { ...known, ...random.pick([{ alg: 'A256GCM' }, { alg: 'RSA1_5' }, { alg: 'ES256' }, { alg: 'A256KW' }, {}]) }
}

/** Without what Node itself would refuse to send, since that would test Node. */
function inUrl(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replace(/%2[46]/g, code => decodeURIComponent(code))
}
