/** What must be known about a vault before its key may protect an account (R07 to R10). */
export interface VaultDescription {
  readonly name: string
  readonly id: string
  readonly location: string
  readonly tenantId: string
  readonly softDelete: boolean
  readonly purgeProtection: boolean
  readonly rbacAuthorization: boolean
  /** Whether the firewall is on, so that only listed addresses are let in. */
  readonly firewall: boolean
  /** Whether `networkAcls.bypass` lets trusted Microsoft services through. */
  readonly trustedServices: boolean
}

/**
 * The settings of the vault with this URI; undefined when Resource Manager does not know it. `outside`: a vault that the operator
 * lets this service call, and of which only the keys can be seen.
 */
export interface VaultDirectory {
  isOwn(vaultUri: string): boolean
  describe(vaultUri: string): Promise<VaultDescription | 'outside' | undefined>
}
