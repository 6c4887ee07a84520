import { AzureError } from '../http/errors.ts'
import type { ClientKind, RedirectUris } from './records.ts'

const kinds: readonly ClientKind[] = ['spa', 'web', 'publicClient']
const loopback = new Set(['localhost', '127.0.0.1', '[::1]'])
const longest = 256
const most = 256
/** Schemes that run something in a browser or read a file; they are never a client's. */
const forbidden = new Set(['javascript:', 'data:', 'vbscript:', 'file:', 'blob:', 'about:', 'ftp:', 'ws:', 'wss:'])

/**
 * What kind of client waits at `uri`; undefined where `uri` is not registered. It is compared letter by letter (RFC 9700 2.1), except
 * for the port of a loopback address, which native clients choose anew each time (RFC 8252 7.3).
 */
export function kindOfRedirect(registered: RedirectUris, uri: string): ClientKind | undefined {
  return kinds.find(kind =>
    registered[kind].some(known => known === uri || (kind === 'publicClient' && sameLoopback(known, uri))),
  )
}

/** Origins of the pages of a client, which may redeem its codes. */
export function pageOrigins(registered: RedirectUris): string[] {
  return registered.spa.flatMap(uri => URL.parse(uri)?.origin ?? [])
}

function sameLoopback(known: string, uri: string): boolean {
  const [a, b] = [URL.parse(known), URL.parse(uri)]
  if (a?.protocol !== 'http:' || b?.protocol !== 'http:' || !loopback.has(a.hostname)) return false
  const plain = b.username === '' && b.password === '' && b.hash === '' && !uri.includes('#')
  return plain && a.hostname === b.hostname && a.pathname === b.pathname && a.search === b.search
}

/** Refuses URIs that could send somebody's code elsewhere. @throws 400 Request_BadRequest */
export function checkRedirectUris(kind: ClientKind, uris: readonly string[]): void {
  if (uris.length > most) throw refused(kind, `There are at most ${most} redirect URIs.`)
  for (const uri of uris) {
    const url = URL.parse(uri)
    if (url === null || uri.length > longest)
      throw refused(kind, `The redirect URI '${uri.slice(0, longest)}' is not a URI of at most ${longest} characters.`)
    if (uri.includes('#') || uri.includes('*'))
      throw refused(kind, `The redirect URI '${uri}' must have neither a fragment nor a wildcard.`)
    if (url.username !== '' || url.password !== '')
      throw refused(kind, `The redirect URI '${uri}' must have no user name.`)
    const isLocal = url.protocol === 'http:' && loopback.has(url.hostname)
    const isNative = kind === 'publicClient' && !forbidden.has(url.protocol) && url.protocol !== 'http:'
    if (url.protocol !== 'https:' && !isLocal && !isNative)
      throw refused(kind, `The redirect URI '${uri}' must begin with https:// or http://localhost.`)
  }
}

function refused(kind: ClientKind, message: string): AzureError {
  return new AzureError('Request_BadRequest', 400, message, { target: `${kind}.redirectUris` })
}
