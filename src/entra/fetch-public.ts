import { lookup, type LookupAddress } from 'node:dns'
import { Agent, request } from 'node:https'
import { BlockList, isIP, isIPv4, type LookupFunction } from 'node:net'
import { plainAddress } from '../http/address-ranges.ts'

const TIMEOUT_MS = 5_000
const LARGEST = 256 * 1024

/** Loopback, private, link-local, shared, reserved, multicast and documentation ranges (IANA special-purpose registries). */
const SPECIAL = new BlockList()
for (const [address, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const)
  SPECIAL.addSubnet(address, prefix, 'ipv4')
/** Of IPv6 only global unicast is public, without the ranges that embed other addresses or reach no host: 6to4, Teredo, documentation. */
const GLOBAL = new BlockList()
GLOBAL.addSubnet('2000::', 3, 'ipv6')
const SPECIAL6 = new BlockList()
for (const [address, prefix] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const)
  SPECIAL6.addSubnet(address, prefix, 'ipv6')

/** Whether an address is on the public internet, and not of this machine, its network or its cloud's metadata service. */
export function isPublicAddress(text: string): boolean {
  const address = plainAddress(text)
  if (isIPv4(address)) return !SPECIAL.check(address, 'ipv4')
  return isIP(address) === 6 && GLOBAL.check(address, 'ipv6') && !SPECIAL6.check(address, 'ipv6')
}

/** Every address of a name must be public. The socket then connects to the addresses that were checked here. */
const publicLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
    if (error !== null) return callback(error, '', 0)
    const [first] = addresses
    if (first === undefined || !addresses.every(({ address }) => isPublicAddress(address)))
      return callback(new Error(`${hostname} has an address that is not public`), '', 0)
    if (options.all === true) return callback(null, addresses, 0)
    return callback(null, first.address, first.family)
  })
}

/**
 * GET of a JSON document over https: no redirects, 5 s and 256 KiB in all, and only from public addresses unless the operator named
 * the host. @throws Error that says what was wrong, for the operator and not for the user who gave the address
 */
export async function fetchPublicJson(address: string, isNamed: (host: string) => boolean): Promise<unknown> {
  const url = URL.parse(address)
  if (url?.protocol !== 'https:' || url.username !== '') throw new Error('its address must begin with https://')
  const isTrusted = isNamed(url.host)
  const literal = url.hostname.replace(/^\[|\]$/g, '')
  if (!isTrusted && isIP(literal) !== 0 && !isPublicAddress(literal)) throw new Error(`${literal} is not public`)
  // A kept connection may have been checked under other rules, so this makes a new one.
  const agent = new Agent({ keepAlive: false })
  const signal = AbortSignal.timeout(TIMEOUT_MS)
  try {
    return await new Promise((resolve, reject) => {
      const options = { agent, signal, headers: { accept: 'application/json' } }
      const sent = request(url, isTrusted ? options : { ...options, lookup: publicLookup }, response => {
        if (response.statusCode !== 200) reject(new Error(`it answers ${response.statusCode}`))
        const chunks: Buffer[] = []
        let size = 0
        response.on('data', (chunk: Buffer) => {
          size += chunk.length
          if (size > LARGEST) sent.destroy(new Error(`it answers with more than ${LARGEST} bytes`))
          else chunks.push(chunk)
        })
        response.on('error', reject)
        response.once('end', () => {
          try {
            resolve(JSON.parse(Buffer.concat(chunks).toString('utf8')))
          } catch {
            reject(new Error('it does not answer with JSON'))
          }
        })
      })
      sent.on('error', reject)
      // A response that switches protocols raises neither `response` nor `error`.
      sent.once('close', () => reject(new Error('it closes the connection without an answer')))
      sent.end()
    })
  } finally {
    agent.destroy()
  }
}
