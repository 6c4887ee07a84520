import { AzureError } from '../http/errors.ts'
import { parseRange } from '../http/address-ranges.ts'
import type { AccessPolicy, NetworkAcls, VaultProperties } from './vault-record.ts'

/** The properties of a request, as far as it has them. */
export interface PropertiesBody {
  readonly tenantId?: string | undefined
  readonly sku?: { readonly name: 'standard' | 'premium' } | undefined
  readonly accessPolicies?: readonly AccessPolicy[] | undefined
  readonly enabledForDeployment?: boolean | undefined
  readonly enabledForDiskEncryption?: boolean | undefined
  readonly enabledForTemplateDeployment?: boolean | undefined
  readonly enableSoftDelete?: boolean | undefined
  readonly softDeleteRetentionInDays?: number | undefined
  readonly enableRbacAuthorization?: boolean | undefined
  readonly enablePurgeProtection?: boolean | undefined
  readonly networkAcls?: { readonly [Member in keyof NetworkAcls]?: NetworkAcls[Member] | undefined } | undefined
  readonly publicNetworkAccess?: 'Enabled' | 'Disabled' | '' | undefined
}

/** Since this version of the API, vaults are in RBAC mode unless their creator says otherwise (R10). */
const RBAC_BY_DEFAULT_SINCE = '2026-02-01'
const DEFAULT_RETENTION = 90
const MIN_RETENTION = 7

/** @throws 400 BadRequest */
export function newVaultProperties(body: PropertiesBody, apiVersion: string): VaultProperties {
  if (body.tenantId === undefined)
    throw badRequest("The parameter 'properties.tenantId' is not specified.", 'properties.tenantId')
  if (body.sku === undefined) throw badRequest("The parameter 'properties.sku' is not specified.", 'properties.sku')
  checkIrreversible(body)
  const enableRbacAuthorization = body.enableRbacAuthorization ?? apiVersion >= RBAC_BY_DEFAULT_SINCE
  if (body.accessPolicies === undefined && !enableRbacAuthorization) {
    throw badRequest(
      'The parameter accessPolicies is not specified. Give a list, which may be empty, or set enableRbacAuthorization to true.',
      'properties.accessPolicies',
    )
  }
  return replaceable(body, {
    tenantId: body.tenantId,
    sku: { family: 'A', name: body.sku.name },
    enableRbacAuthorization,
    enableSoftDelete: body.enableSoftDelete ?? true,
    softDeleteRetentionInDays: checkRetention(body.softDeleteRetentionInDays ?? DEFAULT_RETENTION),
    enablePurgeProtection: body.enablePurgeProtection ?? false,
  })
}

/** PUT of a vault that exists: replaces what may change. Mode and protections stay unless the body has them. @throws 400 BadRequest */
export function replacedVaultProperties(before: VaultProperties, body: PropertiesBody): VaultProperties {
  const kept = keptProperties(before, body)
  if (body.accessPolicies === undefined && !kept.enableRbacAuthorization) {
    throw badRequest('The parameter accessPolicies is not specified.', 'properties.accessPolicies')
  }
  return replaceable({ ...body, accessPolicies: body.accessPolicies ?? before.accessPolicies }, kept)
}

/** PATCH: fields that the body leaves out stay. @throws 400 BadRequest */
export function patchedVaultProperties(before: VaultProperties, body: PropertiesBody): VaultProperties {
  const given = defined(body)
  const networkAcls = body.networkAcls && { ...before.networkAcls, ...defined(body.networkAcls) }
  const merged = { ...before, ...given, ...(networkAcls === undefined ? {} : { networkAcls }) }
  return replaceable(merged, keptProperties(before, body))
}

type Kept = Omit<
  VaultProperties,
  | 'accessPolicies'
  | 'enabledForDeployment'
  | 'enabledForDiskEncryption'
  | 'enabledForTemplateDeployment'
  | 'networkAcls'
  | 'publicNetworkAccess'
>

/** R08: soft delete and purge protection can be turned on, never off. The retention period is set once. */
function keptProperties(before: VaultProperties, body: PropertiesBody): Kept {
  checkIrreversible(body)
  if (body.enableSoftDelete === false && before.enableSoftDelete) {
    throw badRequest(
      `The property "enableSoftDelete" can be set to false only for creating new vault. Enabling the 'soft delete' functionality is an irreversible action.`,
      'properties.enableSoftDelete',
    )
  }
  const retention = body.softDeleteRetentionInDays
  if (retention !== undefined && before.enableSoftDelete && retention !== before.softDeleteRetentionInDays) {
    throw badRequest(
      'The property "softDeleteRetentionInDays" has been set already and it can\'t be modified.',
      'properties.softDeleteRetentionInDays',
    )
  }
  return {
    tenantId: body.tenantId ?? before.tenantId,
    sku: body.sku === undefined ? before.sku : { family: 'A', name: body.sku.name },
    enableRbacAuthorization: body.enableRbacAuthorization ?? before.enableRbacAuthorization,
    enableSoftDelete: body.enableSoftDelete ?? before.enableSoftDelete,
    softDeleteRetentionInDays: checkRetention(retention ?? before.softDeleteRetentionInDays),
    enablePurgeProtection: body.enablePurgeProtection ?? before.enablePurgeProtection,
  }
}

function checkIrreversible(body: PropertiesBody): void {
  if (body.enablePurgeProtection === false) {
    throw badRequest(
      'The property "enablePurgeProtection" cannot be set to false. Enabling the purge protection for a vault is an irreversible action.',
      'properties.enablePurgeProtection',
    )
  }
}

function replaceable(body: PropertiesBody, kept: Kept): VaultProperties {
  if (kept.enablePurgeProtection && !kept.enableSoftDelete) {
    throw badRequest(
      'Purge protection needs soft delete: set enableSoftDelete to true.',
      'properties.enablePurgeProtection',
    )
  }
  const accessPolicies = mergeDuplicates(body.accessPolicies ?? [])
  checkPolicyTenants(accessPolicies, kept.tenantId)
  const networkAcls = body.networkAcls === undefined ? undefined : checkedAcls(body.networkAcls)
  return {
    ...kept,
    accessPolicies,
    enabledForDeployment: body.enabledForDeployment ?? false,
    enabledForDiskEncryption: body.enabledForDiskEncryption ?? false,
    enabledForTemplateDeployment: body.enabledForTemplateDeployment ?? false,
    publicNetworkAccess: body.publicNetworkAccess === 'Disabled' ? 'Disabled' : 'Enabled',
    ...(networkAcls === undefined ? {} : { networkAcls }),
  }
}

/** @throws 400 when a policy names another tenant than the vault's */
export function checkPolicyTenants(policies: readonly AccessPolicy[], tenantId: string): void {
  const foreign = policies.find(policy => policy.tenantId !== tenantId)
  if (foreign === undefined) return
  throw badRequest(
    `All access policies must use the vault's tenant ${tenantId}; the policy of ${foreign.objectId} names ${foreign.tenantId}.`,
    'properties.accessPolicies',
  )
}

function checkedAcls(body: NonNullable<PropertiesBody['networkAcls']>): NetworkAcls {
  const ipRules = body.ipRules ?? []
  const unreadable = ipRules.find(({ value }) => parseRange(value) === undefined)
  if (unreadable !== undefined) {
    throw badRequest(
      `'${unreadable.value}' is neither an IP address nor a range such as 192.0.2.0/24.`,
      'properties.networkAcls.ipRules',
    )
  }
  return {
    bypass: body.bypass ?? 'AzureServices',
    defaultAction: body.defaultAction ?? 'Allow',
    ipRules,
    virtualNetworkRules: body.virtualNetworkRules ?? [],
  }
}

function checkRetention(days: number): number {
  if (days >= MIN_RETENTION && days <= DEFAULT_RETENTION) return days
  throw badRequest(
    `The property "softDeleteRetentionInDays" must be between ${MIN_RETENTION} and ${DEFAULT_RETENTION}, not ${days}.`,
    'properties.softDeleteRetentionInDays',
  )
}

/** Merges two policies of one identity. Otherwise removing the first would leave the second. */
function mergeDuplicates(policies: readonly AccessPolicy[]): AccessPolicy[] {
  const merged = new Map<string, AccessPolicy>()
  for (const policy of policies) {
    const before = merged.get(policyIdentity(policy))
    merged.set(policyIdentity(policy), before === undefined ? policy : withPermissions(before, policy, union))
  }
  return [...merged.values()]
}

/** The identity of a policy: tenant, object and, for compound identities, application. */
export function policyIdentity({ tenantId, objectId, applicationId = '' }: AccessPolicy): string {
  return `${tenantId}/${objectId}/${applicationId}`.toLowerCase()
}

export function withPermissions(
  policy: AccessPolicy,
  other: AccessPolicy,
  combine: (own: readonly string[], others: readonly string[], kind: keyof AccessPolicy['permissions']) => string[],
): AccessPolicy {
  const [own, others] = [policy.permissions, other.permissions]
  return {
    ...policy,
    permissions: {
      keys: combine(own.keys, others.keys, 'keys'),
      secrets: combine(own.secrets, others.secrets, 'secrets'),
      certificates: combine(own.certificates, others.certificates, 'certificates'),
      storage: combine(own.storage, others.storage, 'storage'),
    },
  }
}

export function union(own: readonly string[], others: readonly string[]): string[] {
  return [...new Set([...own, ...others])]
}

function defined<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Partial<T>
}

export function badRequest(message: string, target?: string): AzureError {
  return new AzureError('BadRequest', 400, message, target === undefined ? {} : { target })
}
