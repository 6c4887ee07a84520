import { loginError } from './aadsts.ts'

const OPENID = new Set(['openid', 'profile', 'offline_access', 'email'])
const GRAPH = 'https://graph.microsoft.com'
const LONGEST = 4096

/** The scopes that a person's client asks for. */
export interface AskedScope {
  /** The one resource, as the client spells it. */
  readonly resource: string
  /** The granted scopes, for the response. */
  readonly granted: string
  readonly openid: boolean
  readonly offline: boolean
}

/**
 * Scopes of one resource, for example `https://vault.azure.net/.default openid`; Graph where none is named. The only permission is to
 * act as the person, whose roles and policies decide. @throws AADSTS28000 for several resources
 */
export function readScope(scope: string, resource: string | null): AskedScope {
  if (scope.length > LONGEST) throw loginError('invalid_scope', 70_011, 'The parameter scope is too long.')
  const parts = scope.split(' ').filter(part => part !== '')
  const openid = parts.some(part => part.toLowerCase() === 'openid')
  const offline = parts.some(part => part.toLowerCase() === 'offline_access')
  const wanted = parts.filter(part => !OPENID.has(part.toLowerCase()))
  if (resource !== null && resource !== '')
    return { resource, granted: 'user_impersonation', openid: true, offline: true }
  const resources = new Set(wanted.map(resourceOf))
  if (resources.size > 1) {
    const message =
      'Provided value for the input parameter scope is not valid because it contains more than one resource: ask for one at a time.'
    throw loginError('invalid_scope', 28_000, message)
  }
  const [named = GRAPH] = resources
  const always = [`${named}/user_impersonation`, `${named}/.default`]
  return { resource: named, granted: [...new Set([...parts, ...always])].join(' '), openid, offline }
}

/** `<resource>/<permission>`; a permission alone is one of Graph's. */
function resourceOf(scope: string): string {
  const slash = scope.lastIndexOf('/')
  return slash <= 0 ? GRAPH : scope.slice(0, slash)
}
