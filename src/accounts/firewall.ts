import { isListedAddress } from '../http/address-ranges.ts'
import { Forbidden } from '../http/errors.ts'
import type { Account } from './account.ts'

/** Checks the socket's real peer, never a header. @throws 403 */
export function checkAddress({ networkAcls, publicNetworkAccess }: Account, peer: string): void {
  if (publicNetworkAccess === 'Disabled') {
    throw new Forbidden('403', 'Public access is disabled. Set publicNetworkAccess of the resource to Enabled.')
  }
  if (networkAcls?.defaultAction !== 'Deny' || isListedAddress(networkAcls.ipRules, peer)) return
  throw new Forbidden(
    '403',
    `Access denied due to Virtual Network/Firewall rules. Your address is ${peer}: add it to networkAcls.ipRules of the resource.`,
  )
}
