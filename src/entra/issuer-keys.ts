import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'
import { z } from 'zod'
import type { Env } from '../base/env.ts'
import type { AzureError } from '../http/errors.ts'
import { loginError } from './aadsts.ts'
import { fetchPublicJson } from './fetch-public.ts'

const FRESH_MS = 10 * 60_000
const MOST = 200

const discovery = z.object({ issuer: z.string(), jwks_uri: z.string().max(2048) })
const keySet = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).max(100) })

/** The keys of issuers whose tokens applications accept in place of a secret. */
export interface IssuerKeys {
  /** @throws AADSTS50166 when the issuer can't be asked */
  of(issuer: string): Promise<JWTVerifyGetKey>
}

export interface IssuerKeysOptions {
  readonly env: Env
  /** Our own keys, for our own issuers; undefined for all others. */
  readonly ownKeys: (issuer: string) => JSONWebKeySet | undefined
  /** Hosts (with their port, unless 443) that the operator named: these may have addresses that are not public, and give keys of other issuers. */
  readonly named?: readonly string[] | undefined
  /** Called with the reason why an issuer can't be asked, which is for the operator only. */
  readonly log?: ((message: string, error: unknown) => void) | undefined
}

/** Asks only issuers that an application trusts. Anybody who registers applications chooses these addresses, so they are checked. */
export function openIssuerKeys({ env, ownKeys, named = [], log }: IssuerKeysOptions): IssuerKeys {
  const known = new Map<string, { readonly keys: JWTVerifyGetKey; readonly until: number }>()
  const hosts = new Set(named.map(host => host.trim().toLowerCase()))
  return {
    async of(issuer) {
      const own = ownKeys(issuer)
      if (own !== undefined) return createLocalJWKSet(own)
      const kept = known.get(issuer)
      if (kept !== undefined && kept.until > env.now() && kept.until <= env.now() + FRESH_MS) return kept.keys
      const keys = await fetchKeys(issuer, host => hosts.has(host)).catch((error: unknown) => {
        log?.(`The keys of the issuer '${issuer.slice(0, 200)}' can't be read`, error)
        throw unreadable(issuer)
      })
      const [oldest] = known.keys()
      if (known.size >= MOST && oldest !== undefined) known.delete(oldest)
      known.set(issuer, { keys: createLocalJWKSet(keys), until: env.now() + FRESH_MS })
      return createLocalJWKSet(keys)
    },
  }
}

/** OpenID Connect Discovery 1.0, 4: the document names the issuer itself, and where its keys are. */
async function fetchKeys(issuer: string, isNamed: (host: string) => boolean): Promise<JSONWebKeySet> {
  const address = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const described = discovery.parse(await fetchPublicJson(address, isNamed))
  if (described.issuer !== issuer) throw new Error(`it calls itself '${described.issuer.slice(0, 200)}'`)
  const host = URL.parse(described.jwks_uri)?.host ?? ''
  if (host !== URL.parse(issuer)?.host && !isNamed(host)) throw new Error(`its keys are elsewhere, at '${host}'`)
  return keySet.parse(await fetchPublicJson(described.jwks_uri, isNamed))
}

/** The same message for every reason. Otherwise an issuer's address would show what listens in the operator's network. */
function unreadable(issuer: string): AzureError {
  return loginError(
    'invalid_client',
    50_166,
    `The keys of the issuer '${issuer.slice(0, 200)}' can't be read. It has to answer as OpenID Connect Discovery says, over https, from a public ` +
      'address, without redirects, with its keys on the same host; other hosts are named by the operator (--federated-issuers), who finds the reason in the log.',
  )
}
