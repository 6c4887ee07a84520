import { BlockList, isIP, isIPv4 } from 'node:net'
import type { Forbidden } from '../http/errors.ts'
import type { Call } from '../http/route.ts'
import { callerLabel, type Principal } from './access.ts'
import { forbidden, vaultLabel } from './errors.ts'
import type { NetworkAcls, Vault } from './vault-record.ts'

export type FirewallDecision = 'allow' | 'public-access-disabled' | 'address-not-listed' | 'bypass-is-none'

/**
 * R09: a trusted service is the managed identity of an account AND a call over this process's own connection: a user
 * who borrows the identity's token comes over the network, and is judged by his address.
 */
export function isTrustedService(via: Call['via'], principal: Principal): boolean {
  const resource = principal.claims['xms_mirid']
  return (
    via === 'service' && typeof resource === 'string' && /\/providers\/Microsoft\.CognitiveServices\//i.test(resource)
  )
}

/** R09 R20: judges the socket's real peer, never a header. */
export function firewallDecision(vault: Vault, peer: string, trusted: boolean): FirewallDecision {
  const { networkAcls, publicNetworkAccess } = vault.properties
  const closed = publicNetworkAccess === 'Disabled'
  if (!closed && (networkAcls === undefined || networkAcls.defaultAction === 'Allow')) return 'allow'
  if (!closed && networkAcls !== undefined && isListed(networkAcls, peer)) return 'allow'
  if (trusted) return networkAcls?.bypass === 'None' ? 'bypass-is-none' : 'allow'
  return closed ? 'public-access-disabled' : 'address-not-listed'
}

export function deniedByFirewall(
  vault: Vault,
  principal: Principal,
  peer: string,
  decision: Exclude<FirewallDecision, 'allow'>,
): Forbidden {
  const who = `Caller: ${callerLabel(principal)}\r\nVault: ${vaultLabel(vault)}`
  if (decision === 'public-access-disabled') {
    const reason =
      'Public network access is disabled and request is not from a trusted service nor via an approved private link.'
    return forbidden('ForbiddenByConnection', `${reason}\r\n${who}`)
  }
  const reason =
    decision === 'bypass-is-none'
      ? 'Client address is not authorized and caller was ignored because bypass is set to None.'
      : 'Client address is not authorized and caller is not a trusted service.'
  return forbidden('ForbiddenByFirewall', `${reason}\r\nClient address: ${plainAddress(peer)}\r\n${who}`)
}

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

function isListed(acls: NetworkAcls, peer: string): boolean {
  const address = plainAddress(peer)
  if (isIP(address) === 0) return false
  const family = isIPv4(address) ? 'ipv4' : 'ipv6'
  const list = new BlockList()
  for (const { value } of acls.ipRules) {
    const range = parseRange(value)
    // Only rules of its own family: BlockList takes IPv4 for a part of `::/64` (RFC 4291, 2.5.5.2).
    if (range?.family === family) list.addSubnet(range.address, range.prefix, family)
  }
  return list.check(address, family)
}

/** A socket that listens on both families reports IPv4 peers as `::ffff:a.b.c.d`; zones (`%eth0`) are no part of an address. */
export function plainAddress(peer: string): string {
  const address = peer.split('%')[0] ?? ''
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  return mapped !== undefined && isIPv4(mapped) ? mapped : address
}
