import { z } from 'zod'
import { PERMISSIONS_BY_KIND, type PermissionKind } from './permissions.ts'

const MAX_POLICIES = 1024
const MAX_RULES = 1000

const optional = <T extends z.ZodType>(schema: T) =>
  schema.nullish().transform(value => (value === null ? undefined : value))

/** One of these in any letter case; the result is in Azure's spelling. */
function anyCase<const T extends string>(...values: readonly T[]) {
  return z
    .string()
    .max(64)
    .transform((text, context): T => {
      const found = values.find(value => value.toLowerCase() === text.toLowerCase())
      if (found !== undefined) return found
      context.addIssue({ code: 'custom', message: `must be one of ${values.filter(Boolean).join(', ')}` })
      return z.NEVER
    })
}

const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const guid = z
  .string()
  .regex(GUID, 'must be a GUID')
  .transform(text => text.toLowerCase())

const permissionsOf = (kind: PermissionKind) =>
  optional(z.array(anyCase('all', ...PERMISSIONS_BY_KIND[kind])).max(64)).transform(list => [...new Set(list)])

const accessPolicy = z
  .object({
    tenantId: guid,
    objectId: z.string().regex(GUID, 'must be a GUID: the object id of a user, a group or a service principal'),
    applicationId: optional(guid),
    permissions: z.object({
      keys: permissionsOf('keys'),
      secrets: permissionsOf('secrets'),
      certificates: permissionsOf('certificates'),
      storage: permissionsOf('storage'),
    }),
  })
  .transform(({ applicationId, ...policy }) => (applicationId === undefined ? policy : { ...policy, applicationId }))

const accessPolicies = z.array(accessPolicy).max(MAX_POLICIES, `at most ${MAX_POLICIES} access policies`)

const networkAcls = z.object({
  bypass: optional(anyCase('AzureServices', 'None')),
  defaultAction: optional(anyCase('Allow', 'Deny')),
  ipRules: optional(z.array(z.object({ value: z.string().min(1).max(64) })).max(MAX_RULES)),
  virtualNetworkRules: optional(z.array(z.object({ id: z.string().min(1).max(512) })).max(MAX_RULES)),
})

const properties = {
  tenantId: optional(guid),
  sku: optional(z.object({ family: optional(anyCase('A')), name: anyCase('standard', 'premium') })),
  accessPolicies: optional(accessPolicies),
  enabledForDeployment: optional(z.boolean()),
  enabledForDiskEncryption: optional(z.boolean()),
  enabledForTemplateDeployment: optional(z.boolean()),
  enableSoftDelete: optional(z.boolean()),
  softDeleteRetentionInDays: optional(z.int()),
  enableRbacAuthorization: optional(z.boolean()),
  enablePurgeProtection: optional(z.boolean()),
  createMode: optional(anyCase('default', 'recover')),
  networkAcls: optional(networkAcls),
  publicNetworkAccess: optional(anyCase('Enabled', 'Disabled', '')),
}

const tags = z
  .record(z.string().min(1).max(512), z.string().max(256))
  .refine(all => Object.keys(all).length <= 50, 'at most 50 tags')

/** Clients send back everything that our GET returned, so read-only fields are accepted and ignored. */
export const putVaultBody = z.object({
  location: z.string().min(1).max(64),
  tags: optional(tags),
  properties: z.object(properties),
})
export type PutVaultBody = z.infer<typeof putVaultBody>

export const patchVaultBody = z.object({ tags: optional(tags), properties: optional(z.object(properties)) })

export const accessPoliciesBody = z.object({ properties: z.object({ accessPolicies }) })

export const checkNameBody = z.object({ name: z.string().max(256), type: anyCase('Microsoft.KeyVault/vaults') })

export const checkHsmNameBody = z.object({ name: z.string().max(256) })
