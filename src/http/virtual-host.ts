import type { HostName } from './route.ts'

export interface VirtualHost {
  readonly host: HostName
  /** `<label>` of `<label>.vault.<domain>`, lower case; empty for hosts without one. */
  readonly label: string
}

const dnsLabel = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
const hostHeader = /^([a-z0-9.-]{1,253})(:\d{1,5})?$/
const singleHosts = new Set<string>(['login', 'management', 'portal'])
const labelledHosts = new Set<string>(['vault', 'openai'])

/** `host[:port]` of a Host header in lower case and without the root's dot; undefined when no URL can be made of it. */
export function normalHost(header: string | undefined): string | undefined {
  const match = hostHeader.exec((header ?? '').toLowerCase())
  if (!match || !isPort(match[2])) return undefined
  return `${match[1]?.replace(/\.$/, '')}${match[2] ?? ''}`
}

/** The virtual host that a Host header names. The port is ignored, so any forwarded port works. */
export function virtualHost(header: string | undefined, domain: string): VirtualHost | undefined {
  const name = normalHost(header)?.replace(/:\d+$/, '')
  const suffix = `.${domain.toLowerCase()}`
  if (!name?.endsWith(suffix)) return undefined
  const labels = name.slice(0, -suffix.length).split('.')
  const last = labels.at(-1) ?? ''
  if (labels.length === 1 && singleHosts.has(last)) return { host: last as HostName, label: '' }
  const label = labels[0] ?? ''
  if (labels.length === 2 && labelledHosts.has(last) && dnsLabel.test(label)) return { host: last as HostName, label }
  return undefined
}

/** @param text `:` and up to five digits, or nothing */
function isPort(text = ''): boolean {
  return Number(text.slice(1)) <= 65_535
}

const ownAddress = /^(?:127\.0\.0\.1|\[::1\])(:\d{1,5})?$/

/** Whether a Host header names this machine itself and not a host of the service, as people type it who look for the portal. */
export function isBareHost(header: string | undefined, domain: string): boolean {
  const own = ownAddress.exec(header ?? '')
  return (own !== null && isPort(own[1])) || normalHost(header)?.replace(/:\d+$/, '') === domain.toLowerCase()
}

/** The portal's address, on the port that the client used, so any forwarded port works. */
export function homeOf(header: string | undefined, own: { readonly domain: string; readonly port: number }): string {
  const used = isBareHost(header, own.domain) ? /:(\d{1,5})$/.exec(header ?? '')?.[1] : undefined
  return `https://portal.${own.domain}:${used ?? own.port}/`
}

/** The text for a client that asks for a host that is not served here. */
export function unknownHostText(header: string | undefined, domain: string): string {
  const asked = normalHost(header) ?? 'this host'
  return (
    `Nothing is served under ${asked}. Hosts of this service: login.${domain}, management.${domain}, portal.${domain}, ` +
    `<vault>.vault.${domain}, <account>.openai.${domain}. A name that does not resolve can be added to the hosts file.\n`
  )
}
