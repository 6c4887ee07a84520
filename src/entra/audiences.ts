import { trimEnd } from '../base/trim.ts'
/** The services that tokens can be for. */
export type Audience = 'management' | 'vault' | 'openai' | 'graph' | 'exchange'

/** Names under which Azure's clients ask for them: URLs without a trailing slash, and application ids. */
const knownNames: Readonly<Record<Audience, readonly string[]>> = {
  management: [
    'https://management.azure.com',
    'https://management.core.windows.net',
    '797f4846-ba00-4fd7-ba43-dac1f8f63013',
  ],
  vault: ['https://vault.azure.net', 'cfa8b339-82a2-471a-a3c9-0fc0be7a4093'],
  openai: ['https://cognitiveservices.azure.com', 'https://ai.azure.com', '7d312290-28c8-473c-a0ed-8e53749b6d6d'],
  // Tokens that an application accepts in place of a secret: federated credentials.
  exchange: ['api://azureadtokenexchange', 'fb60f99c-7a34-4190-8149-302f77469936'],
  graph: ['https://graph.microsoft.com', 'https://graph.windows.net', '00000003-0000-0000-c000-000000000000'],
}

/** Our own hosts; Graph is served by the login host. */
const ownHosts: Readonly<Record<string, Audience>> = {
  management: 'management',
  vault: 'vault',
  openai: 'openai',
  login: 'graph',
}

/** Cached results, by domain and resource, since every request asks for them. */
const known = new Map<string, Audience | undefined>()
const maximumKnown = 256

/** Which service a resource or `aud` names, with or without slash and port; undefined for anything else. */
export function audienceOf(resource: string, domain: string): Audience | undefined {
  if (resource.length > 256) return undefined
  const key = `${domain} ${resource}`
  if (known.has(key)) return known.get(key)
  if (known.size >= maximumKnown) known.clear()
  const audience = findAudience(resource, domain)
  known.set(key, audience)
  return audience
}

function findAudience(resource: string, domain: string): Audience | undefined {
  const plain = trimEnd(resource.trim().toLowerCase(), '/')
  for (const [audience, names] of Object.entries(knownNames)) {
    if (names.includes(plain)) return audience as Audience
  }
  const own = /^https:\/\/([a-z]+)\.([a-z0-9.-]+?)(?::\d{1,5})?$/.exec(plain)
  return own?.[2] === domain ? ownHosts[own[1] ?? ''] : undefined
}

/** Is a token for `aud` meant for one of `accepted` (service names, or URLs as `audienceOf` takes them)? */
export function isAudience(aud: string, accepted: readonly string[], domain: string): boolean {
  const asked = audienceOf(aud, domain)
  return asked !== undefined && accepted.some(name => name === asked || audienceOf(name, domain) === asked)
}

/** The resource of a v2 scope: `<resource>/.default`; undefined where the scope is not of that form. */
export function resourceOfScope(scope: string): string | undefined {
  const wanted = scope.split(' ').filter(part => part !== '' && !openIdScopes.has(part))
  const [only] = wanted
  return wanted.length === 1 && only?.toLowerCase().endsWith('/.default')
    ? only.slice(0, -'/.default'.length)
    : undefined
}

const openIdScopes = new Set(['openid', 'profile', 'offline_access', 'email'])
