import { NotFound } from '../http/errors.ts'
import { bytes, empty, json } from '../http/respond.ts'
import type { Call, Route } from '../http/route.ts'
import { CODINGS, type PortalFile } from './portal-files.ts'

/** What the page needs to know about its cloud. None of it is secret. */
export interface PortalConfig {
  readonly tenantId: string
  /** The public client that the portal signs users in with. */
  readonly clientId: string
  readonly authority: string
  readonly resourceManager: string
  readonly graph: string
  /** For example `.vault.localhost:8443`. */
  readonly keyVaultSuffix: string
  readonly openAiSuffix: string
  readonly location: string
  /** The clock can be set: `start --clock-control`. */
  readonly clockControl: boolean
}

const REASON = 'the files of the portal are public; all they show comes from APIs that ask for a token'

/** The portal's files and pages. Every path that is not a file is the one page, so that deep links work. */
export function portalRoutes(files: ReadonlyMap<string, PortalFile>, config: PortalConfig): Route[] {
  const policy = contentSecurityPolicy(config)
  const route = (method: 'GET' | 'HEAD', path: string, handler: Route['handler']): Route => ({
    host: 'portal',
    method,
    path,
    auth: 'none',
    reason: REASON,
    maxBody: 0,
    handler,
  })
  const page = (call: Call): Promise<Response> => serve(files, call, policy)
  return [
    route('GET', '/config.json', () => json(config, { headers: { 'cache-control': 'no-store' } })),
    ...(['GET', 'HEAD'] as const).flatMap(method => [route(method, '/', page), route(method, '/:path*', page)]),
  ]
}

async function serve(files: ReadonlyMap<string, PortalFile>, call: Call, policy: string): Promise<Response> {
  const asked = files.get(call.url.pathname)
  const file = asked ?? (isPage(call.url.pathname) ? files.get('/index.html') : undefined)
  if (file === undefined) {
    throw new NotFound(
      'NotFound',
      files.size === 0
        ? 'The portal is missing from portal/dist: check it out again (git checkout portal/dist), or run npm run portal:build.'
        : 'The portal has no such file.',
    )
  }
  const headers = {
    etag: file.etag,
    vary: 'accept-encoding',
    'cache-control': file.immutable ? 'public, max-age=31536000, immutable' : 'no-cache',
    'content-security-policy': policy,
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'permissions-policy': 'camera=(), microphone=(), geolocation=()',
    'x-content-type-options': 'nosniff',
  }
  if (call.headers.get('if-none-match') === file.etag) return empty(304, headers)
  const accepted = call.headers.get('accept-encoding') ?? ''
  const coding = CODINGS.find(name => accepted.includes(name))
  const compressed = coding && (await file.compressed(coding))
  if (coding === undefined || compressed === undefined) return bytes(file.plain, file.contentType, { headers })
  return bytes(compressed, file.contentType, { headers: { ...headers, 'content-encoding': coding } })
}

/** Paths with an extension are files; all others are pages of the portal. */
const isPage = (path: string): boolean => !/\.[a-z0-9]{2,5}$/i.test(path) || path.startsWith('/resource/')

/** Fluent UI fills empty style elements through the CSSOM: the hash is that of an empty one. */
function contentSecurityPolicy(config: PortalConfig): string {
  const emptyStyle = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
  const origin = (url: string): string => new URL(url).origin
  const apis = [
    origin(config.authority),
    origin(config.resourceManager),
    origin(config.graph),
    `https://*${config.keyVaultSuffix}`,
    `https://*${config.openAiSuffix}`,
  ]
  return [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' ${emptyStyle}`,
    "img-src 'self' data:",
    "font-src 'self'",
    `connect-src 'self' ${[...new Set(apis)].join(' ')}`,
    `frame-src ${origin(config.authority)}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
}
