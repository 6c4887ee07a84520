/** What must be known of a vault before its key may protect an account (R07 to R10). */
export interface VaultDescription {
  readonly name: string
  readonly id: string
  readonly location: string
  readonly tenantId: string
  readonly softDelete: boolean
  readonly purgeProtection: boolean
  readonly rbacAuthorization: boolean
  /** The firewall is on: only listed addresses get in. */
  readonly firewall: boolean
  /** `networkAcls.bypass` lets trusted Microsoft services through. */
  readonly trustedServices: boolean
}

/**
 * Tells a vault's settings from its URI; undefined when Resource Manager knows no such vault. `outside`: one that the operator
 * lets this service call, and of which nothing but its keys can be seen.
 */
export interface VaultDirectory {
  isOwn(vaultUri: string): boolean
  describe(vaultUri: string): Promise<VaultDescription | 'outside' | undefined>
}
