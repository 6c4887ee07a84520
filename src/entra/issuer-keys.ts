import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'
import { z } from 'zod'
import type { Env } from '../env.ts'
import { loginError } from './aadsts.ts'

const FRESH_MS = 10 * 60_000
const TIMEOUT_MS = 5_000
const LARGEST = 256 * 1024
const MOST = 200

const discovery = z.object({ issuer: z.string(), jwks_uri: z.string().max(2048) })
const keySet = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).max(100) })

/** The keys of issuers whose tokens applications take for a secret. */
export interface IssuerKeys {
  /** @throws AADSTS50166 when the issuer can't be asked */
  of(issuer: string): Promise<JWTVerifyGetKey>
}

/** @param ownKeys our own keys, for issuers that we are; undefined for all others */
export function openIssuerKeys(env: Env, ownKeys: (issuer: string) => JSONWebKeySet | undefined): IssuerKeys {
  const known = new Map<string, { readonly keys: JWTVerifyGetKey; readonly until: number }>()
  return {
    async of(issuer) {
      const own = ownKeys(issuer)
      if (own !== undefined) return createLocalJWKSet(own)
      const kept = known.get(issuer)
      if (kept !== undefined && kept.until > env.now() && kept.until <= env.now() + FRESH_MS) return kept.keys
      const keys = createLocalJWKSet(await fetchKeys(issuer))
      const [oldest] = known.keys()
      if (known.size >= MOST && oldest !== undefined) known.delete(oldest)
      known.set(issuer, { keys, until: env.now() + FRESH_MS })
      return keys
    },
  }
}

/** OpenID Connect Discovery 1.0, 4: the document names the issuer itself, and where its keys are. */
async function fetchKeys(issuer: string): Promise<JSONWebKeySet> {
  try {
    const described = discovery.parse(await readJson(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`))
    if (described.issuer !== issuer) throw new Error(`it calls itself '${described.issuer.slice(0, 200)}'`)
    return keySet.parse(await readJson(described.jwks_uri))
  } catch (error) {
    const why =
      error instanceof z.ZodError ? 'it does not answer as OpenID Connect Discovery says' : (error as Error).message
    throw loginError(
      'invalid_client',
      50_166,
      `The keys of the issuer '${issuer.slice(0, 200)}' can't be read: ${why}.`,
    )
  }
}

async function readJson(address: string): Promise<unknown> {
  const url = URL.parse(address)
  if (url?.protocol !== 'https:') throw new Error('its address must begin with https://')
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) })
  if (!response.ok) throw new Error(`it answers ${response.status}`)
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += (chunk as Uint8Array).length
    if (size > LARGEST) throw new Error(`it answers with more than ${LARGEST} bytes`)
    chunks.push(chunk as Uint8Array)
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8'))
}
