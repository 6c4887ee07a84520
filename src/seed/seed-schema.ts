import { z } from 'zod'
import { BUILT_IN_ROLES } from '../arm/built-in-roles.ts'
import { parseRange } from '../http/address-ranges.ts'
import { KEY_OPERATIONS } from '../keyvault/key-rules.ts'
import { CURVES, KEY_TYPES } from '../keyvault/key-record.ts'
import { KEY_PERMISSIONS } from '../keyvault/permissions.ts'
import { isVaultName } from '../keyvault/vault-name.ts'
import { fields, listOf, text } from './fields.ts'
import { isFields } from './raw.ts'

const displayName = z.string().min(1).max(64)
const location = z.string().min(1).max(64).optional()
const tags = z.record(z.string().min(1).max(512), z.string().max(256)).optional()
const variable = text(/^[A-Z_][A-Z0-9_]{0,127}$/i, 'the name of an environment variable')
const ROLES = BUILT_IN_ROLES.map(({ roleName }) => roleName)

/** Who: exactly one of these. */
const WHO = {
  user: z.string().min(1).max(256).optional(),
  application: z.string().min(1).max(256).optional(),
  /** The system-assigned identity of an account of the file, `name` or `group/name`. */
  identity: z.string().min(1).max(160).optional(),
  administrator: z.enum(['application', 'user']).optional(),
  objectId: z.guid('must be a GUID').optional(),
}
const isOne = (given: object): boolean => Object.keys(WHO).filter(name => name in given).length === 1
/** Reported together with other problems. */
const always = { when: ({ value }: { value: unknown }) => isFields(value) }
const onePrincipal = { error: `must name one principal: exactly one of ${Object.keys(WHO).join(', ')}`, ...always }

const roleAssignment = fields({ ...WHO, role: z.enum(ROLES) }).refine(isOne, onePrincipal)
const roleAssignments = listOf(roleAssignment)
const accessPolicy = fields({
  ...WHO,
  keys: z
    .array(z.enum(['all', ...KEY_PERMISSIONS]))
    .min(1)
    .max(64),
}).refine(isOne, onePrincipal)

const ipRule = fields({
  value: z
    .string()
    .refine(value => parseRange(value) !== undefined, "must be an address or a range such as '203.0.113.0/24'"),
})
const networkAcls = {
  defaultAction: z.enum(['Allow', 'Deny']),
  ipRules: z.array(ipRule).max(1000).optional(),
}
const publicNetworkAccess = z.enum(['Enabled', 'Disabled']).optional()

const time = z.iso
  .datetime({ offset: true, error: "must be a time such as '2027-01-31T00:00:00Z'" })
  .transform(value => Math.floor(Date.parse(value) / 1000))
  .optional()
const span = text(/^P(?=\d)(\d{1,4}Y)?(\d{1,4}M)?(\d{1,5}D)?$/, "an ISO 8601 duration such as 'P90D'")

/** As the key's rotation policy is in Key Vault. */
const rotationPolicy = fields({
  lifetimeActions: z
    .array(
      fields({
        trigger: fields({ timeAfterCreate: span.optional(), timeBeforeExpiry: span.optional() }),
        action: fields({ type: z.enum(['Rotate', 'Notify']) }),
      }),
    )
    .min(1)
    .max(2),
  attributes: fields({ expiryTime: span.optional() }).optional(),
})

const key = fields({
  name: text(/^[0-9a-zA-Z-]{1,127}$/, "1 to 127 letters, digits and '-'"),
  kty: z.enum(KEY_TYPES).default('RSA'),
  key_size: z.int().optional(),
  crv: z.enum(CURVES).optional(),
  key_ops: z.array(z.enum(KEY_OPERATIONS)).max(16).optional(),
  attributes: fields({ enabled: z.boolean().optional(), nbf: time, exp: time }).optional(),
  tags,
  /** The least number of versions. */
  versions: z.int().min(1).max(100).default(1),
  rotationPolicy: rotationPolicy.optional(),
})

const vault = fields({
  name: z.string().refine(isVaultName, "must be 3 to 24 letters, digits and single '-', a letter first, no '-' last"),
  location,
  tags,
  sku: fields({ name: z.enum(['standard', 'premium']) }).optional(),
  enableRbacAuthorization: z.boolean().default(false),
  enablePurgeProtection: z
    .literal(true, 'must be true: leave it out to have no purge protection, for once on it stays')
    .optional(),
  softDeleteRetentionInDays: z.int().min(7).max(90).optional(),
  publicNetworkAccess,
  networkAcls: fields({ ...networkAcls, bypass: z.enum(['AzureServices', 'None']).optional() }).optional(),
  accessPolicies: listOf(accessPolicy),
  roleAssignments,
  keys: listOf(key),
})

const encryption = fields({
  keySource: z.enum(['Microsoft.KeyVault', 'Microsoft.CognitiveServices']).default('Microsoft.KeyVault'),
  vault: z.string().min(1).max(24).optional(),
  key: z.string().min(1).max(127).optional(),
  keyVersion: text(
    /^(newest|[0-9a-fA-F]{32})$/,
    "'newest' or the version's 32 hex digits; left out, the account follows the key's rotation",
  ).optional(),
}).refine(
  ({ keySource, vault, key }) =>
    keySource === 'Microsoft.CognitiveServices'
      ? vault === undefined && key === undefined
      : vault !== undefined && key !== undefined,
  { error: "must name a vault and a key of this file; or be only 'keySource: Microsoft.CognitiveServices'", ...always },
)

const deployment = fields({
  name: text(/^[a-zA-Z0-9]([a-zA-Z0-9_.-]{0,62}[a-zA-Z0-9])?$/, "1 to 64 letters, digits, '_', '.' and '-'"),
  model: z.string().min(1).max(256),
  sku: fields({ name: z.string().min(1).max(64), capacity: z.int().min(1).max(10_000).default(1) }).optional(),
  onKeyUnavailable: z.enum(['serve', 'stop']).optional(),
})

const account = fields({
  name: text(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,63}$/, "2 to 64 letters, digits, '_', '.' and '-', a letter or digit first"),
  location,
  tags,
  kind: z.enum(['OpenAI', 'AIServices', 'CognitiveServices']).optional(),
  customSubDomainName: text(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i, "1 to 63 letters, digits and '-'").optional(),
  identity: fields({ type: z.enum(['SystemAssigned', 'None']) }).optional(),
  disableLocalAuth: z.boolean().optional(),
  publicNetworkAccess,
  networkAcls: fields(networkAcls).optional(),
  encryption: encryption.optional(),
  deployments: listOf(deployment),
  roleAssignments,
})

const resourceGroup = fields({
  name: text(/^[\w().-]{0,89}[\w()-]$/, "1 to 90 letters, digits, '_', '(', ')', '.' and '-', no '.' last"),
  location,
  tags,
  vaults: listOf(vault),
  accounts: listOf(account),
  roleAssignments,
})

const directory = {
  users: listOf(
    fields({
      userPrincipalName: text(
        /^[\w.!#$&'*+/=?^`{|}~-]{1,64}(@[a-z0-9.-]{1,253})?$/i,
        "a name such as 'ada', with the tenant's domain behind an '@' or without",
      ),
      displayName: z.string().min(1).max(256).optional(),
      /** The environment variable with the password when the user is made. Without it a password is made up. */
      passwordEnv: variable.optional(),
    }),
  ),
  applications: listOf(fields({ displayName: z.string().min(1).max(256), secret: z.boolean().default(true) })),
  subscriptions: listOf(fields({ displayName, resourceGroups: listOf(resourceGroup), roleAssignments })),
}

const modelName = text(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, "1 to 64 letters, digits, '.', '_' and '-', no sign first")

/** A base model, as `./ownkey models add` takes it. Nothing is fetched unless there is a `source`. */
const baseModel = fields({
  name: modelName,
  /** A GGUF file of this machine; a relative path is from the seed file's folder. */
  file: z.string().min(1).max(4096).optional(),
  /** `smollm2`, `hf:OWNER/REPO:QUANT` or an https address. */
  source: text(
    /^(smollm2|hf:.{3,700}|https:\/\/.{1,2000})$/,
    'smollm2, hf:OWNER/REPO:QUANT or an https address',
  ).optional(),
  sha256: text(/^[0-9a-f]{64}$/i, '64 hexadecimal digits').optional(),
  licence: z.string().min(1).max(200).optional(),
  aliases: z.array(modelName).max(100).default([]),
  context: z.int().min(64).max(10_000_000).optional(),
  threads: z.int().min(1).max(1024).optional(),
  gpuLayers: z.union([z.int().min(0).max(10_000), z.enum(['max', 'auto'])], "a number, 'max' or 'auto'").optional(),
  copy: z.boolean().default(false),
}).refine(({ file, source }) => (file === undefined) !== (source === undefined), {
  error: 'must have a file of this machine or a source, and not both',
  ...always,
})

/** A whole seed file, with Azure's names. The top level is for the first tenant. */
export const seedFile = fields({
  models: listOf(baseModel),
  ...directory,
  tenants: listOf(fields({ displayName: z.string().min(1).max(256), ...directory })),
})

export type SeedFile = z.infer<typeof seedFile>
export type SeedModel = SeedFile['models'][number]
export type SeedDirectory = Pick<SeedFile, keyof typeof directory>
export type SeedSubscription = SeedDirectory['subscriptions'][number]
export type SeedGroup = SeedSubscription['resourceGroups'][number]
export type SeedVault = SeedGroup['vaults'][number]
export type SeedKey = SeedVault['keys'][number]
export type SeedAccount = SeedGroup['accounts'][number]
export type SeedPrincipal = Pick<SeedVault['accessPolicies'][number], keyof typeof WHO>
