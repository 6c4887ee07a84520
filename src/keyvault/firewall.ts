import { isListedAddress, plainAddress } from '../http/address-ranges.ts'
import type { Forbidden } from '../http/errors.ts'
import type { Call } from '../http/route.ts'
import { callerLabel, type Principal } from './access.ts'
import { forbidden, vaultLabel } from './errors.ts'
import type { Vault } from './vault-record.ts'

export type FirewallDecision = 'allow' | 'public-access-disabled' | 'address-not-listed' | 'bypass-is-none'

/**
 * R09: a trusted service is the managed identity of an account AND a call over this process's own connection. A user
 * who borrows the identity's token comes over the network, so their address counts.
 */
export function isTrustedService(via: Call['via'], principal: Principal): boolean {
  const resource = principal.claims['xms_mirid']
  return (
    via === 'service' && typeof resource === 'string' && /\/providers\/Microsoft\.CognitiveServices\//i.test(resource)
  )
}

/** R09 R20: checks the socket's real peer, never a header. */
export function firewallDecision(vault: Vault, peer: string, trusted: boolean): FirewallDecision {
  const { networkAcls, publicNetworkAccess } = vault.properties
  const closed = publicNetworkAccess === 'Disabled'
  if (!closed && (networkAcls === undefined || networkAcls.defaultAction === 'Allow')) return 'allow'
  if (!closed && networkAcls !== undefined && isListedAddress(networkAcls.ipRules, peer)) return 'allow'
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
