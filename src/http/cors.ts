import { empty } from './respond.ts'

const exposed =
  'x-ms-request-id, x-request-id, apim-request-id, www-authenticate, location, azure-asyncoperation, retry-after, x-ms-error-code'

/** Headers that let pages of a trusted origin (the portal) read a response; none for all other pages. */
export function crossOriginHeaders(origin: string | null, trusted: () => ReadonlySet<string>): Record<string, string> {
  if (origin === null || !trusted().has(origin.toLowerCase())) return {}
  return { 'access-control-allow-origin': origin, 'access-control-expose-headers': exposed, vary: 'origin' }
}

/** The response to a browser's preflight; undefined where the origin is not trusted, or the request is not a preflight. */
export function preflight(method: string, headers: Headers, trusted: () => ReadonlySet<string>): Response | undefined {
  const origin = headers.get('origin')
  if (method !== 'OPTIONS' || origin === null || !headers.has('access-control-request-method')) return undefined
  if (!trusted().has(origin.toLowerCase())) return undefined
  const asked = headers.get('access-control-request-headers') ?? ''
  return empty(204, {
    'access-control-allow-methods': 'GET, POST, PUT, PATCH, DELETE, HEAD',
    'access-control-allow-headers': /^[\w\-, ]{0,1000}$/.test(asked) ? asked : '',
    'access-control-max-age': '600',
    ...(headers.has('access-control-request-private-network')
      ? { 'access-control-allow-private-network': 'true' }
      : {}),
  })
}
