import { BlockList, isIP, isIPv4 } from 'node:net'

/** An address or CIDR range as `ipRules` takes it; undefined when it is neither. */
export function parseRange(text: string): { address: string; prefix: number; family: 'ipv4' | 'ipv6' } | undefined {
  const [address = '', suffix, ...more] = text.trim().split('/')
  const version = isIP(address)
  if (version === 0 || more.length > 0 || address.includes('%')) return undefined
  const bits = version === 4 ? 32 : 128
  if (suffix !== undefined && !/^\d{1,3}$/.test(suffix)) return undefined
  const prefix = suffix === undefined ? bits : Number(suffix)
  if (prefix > bits) return undefined
  const plain = plainAddress(address)
  if (version === 6 && isIPv4(plain) && prefix >= 96) return { address: plain, prefix: prefix - 96, family: 'ipv4' }
  return { address, prefix, family: version === 4 ? 'ipv4' : 'ipv6' }
}

/** Does the peer's address lie in one of the ranges? */
export function isListedAddress(rules: readonly { readonly value: string }[], peer: string): boolean {
  const address = plainAddress(peer)
  if (isIP(address) === 0) return false
  const family = isIPv4(address) ? 'ipv4' : 'ipv6'
  const list = new BlockList()
  for (const { value } of rules) {
    const range = parseRange(value)
    // BlockList counts IPv4 as part of `::/64` (RFC 4291, 2.5.5.2), so only rules of its own family are asked.
    if (range?.family === family) list.addSubnet(range.address, range.prefix, family)
  }
  return list.check(address, family)
}

/** A socket that listens on both families reports IPv4 peers as `::ffff:a.b.c.d`; zones (`%eth0`) are not part of an address. */
export function plainAddress(peer: string): string {
  const address = peer.split('%')[0] ?? ''
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  return mapped !== undefined && isIPv4(mapped) ? mapped : address
}
