import { z } from 'zod'
import { tagsBody } from '../arm/tags.ts'
import { parseRange } from '../http/address-ranges.ts'

const networkAcls = z.object({
  defaultAction: z.enum(['Allow', 'Deny']).nullish(),
  ipRules: z
    .array(
      z.object({
        value: z
          .string()
          .max(64)
          .refine(value => parseRange(value) !== undefined, "must be an address or a range such as '203.0.113.0/24'"),
      }),
    )
    .max(100)
    .nullish(),
  virtualNetworkRules: z
    .array(z.object({ id: z.string().max(1000) }))
    .max(100)
    .nullish(),
  bypass: z.string().max(32).nullish(),
})

const encryption = z.object({
  keySource: z.enum(['Microsoft.CognitiveServices', 'Microsoft.KeyVault']).default('Microsoft.KeyVault'),
  keyVaultProperties: z
    .object({
      keyVaultUri: z.string().min(1).max(500),
      keyName: z.string().min(1).max(127),
      keyVersion: z.string().max(64).nullish(),
      identityClientId: z.string().max(64).nullish(),
    })
    .nullish(),
  reEncryptOnEnable: z.boolean().nullish(),
})

const properties = z.object({
  customSubDomainName: z
    .string()
    .regex(
      // It becomes a label of a host name (RFC 1035 2.3.4).
      /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i,
      "must be 1 to 63 letters, digits and '-', not beginning or ending in '-'",
    )
    .nullish(),
  disableLocalAuth: z.boolean().nullish(),
  encryption: encryption.nullish(),
  networkAcls: networkAcls.nullish(),
  publicNetworkAccess: z.enum(['Enabled', 'Disabled']).nullish(),
  restore: z.boolean().nullish(),
})

const identity = z.object({ type: z.string().max(64).nullish() })

/** PUT of an account. Unknown fields are read-only ones that clients send back, so they are ignored. */
export const putAccountBody = z.object({
  location: z.string().min(1).max(64),
  kind: z.string().max(64).nullish(),
  sku: z.object({ name: z.string().max(32) }).nullish(),
  tags: tagsBody.nullish(),
  identity: identity.nullish(),
  properties: properties.nullish(),
})

/** PATCH of an account: absent fields stay as they are. */
export const patchAccountBody = putAccountBody.extend({ location: z.string().max(64).nullish() })

export type AccountBody = z.infer<typeof patchAccountBody>
export type EncryptionBody = z.infer<typeof encryption>
