import { z } from 'zod'
import { CURVES, KEY_TYPES } from './key-record.ts'
import { KEY_OPERATIONS } from './key-rules.ts'

/** Azure's limits on tags. */
const MAX_TAGS = 15
const MAX_TAG_LENGTH = 256
/** The last second of the year 9999. */
const LAST_SECOND = 253_402_300_799

const optional = <T extends z.ZodType>(schema: T) =>
  schema.nullish().transform(value => (value === null ? undefined : value))

const seconds = z.int().min(0).max(LAST_SECOND)
const tag = z.string().max(MAX_TAG_LENGTH)

/** Bytes as base64url, padding tolerated; at most `max` bytes. */
function base64url(max: number) {
  const pattern = /^[A-Za-z0-9_-]*={0,2}$/
  return z
    .string()
    .max(Math.ceil(max / 3) * 4 + 4)
    .regex(pattern, 'must be base64url (RFC 4648, section 5)')
    .transform(text => Buffer.from(text, 'base64url'))
}

const attributes = z.object({
  enabled: optional(z.boolean()),
  nbf: optional(seconds),
  exp: optional(seconds),
  exportable: optional(
    z.literal(false, { error: 'exportable keys are not supported here: there is no secure key release' }),
  ),
})

const tags = z
  .record(z.string().min(1).max(MAX_TAG_LENGTH), tag)
  .refine(all => Object.keys(all).length <= MAX_TAGS, `at most ${MAX_TAGS} tags`)

const keyOps = z.array(z.enum(KEY_OPERATIONS)).max(16)
const noReleasePolicy = optional(z.never({ error: 'release policies are not supported here' }))

const common = {
  attributes: optional(attributes),
  tags: optional(tags),
  release_policy: noReleasePolicy,
}

export const createBody = z.object({
  kty: z.enum(KEY_TYPES, { error: `must be one of ${KEY_TYPES.join(', ')}` }),
  key_size: optional(z.int()),
  public_exponent: optional(z.int()),
  key_ops: optional(keyOps),
  crv: optional(z.enum(CURVES)),
  ...common,
})
export type CreateBody = z.infer<typeof createBody>

const jwkMember = z
  .string()
  .max(2048)
  .regex(/^[A-Za-z0-9_-]+={0,2}$/, 'must be base64url (RFC 4648, section 5)')

export const importBody = z.object({
  Hsm: optional(z.boolean()),
  key: z.object({
    kty: z.enum([...KEY_TYPES, 'oct']),
    key_ops: optional(keyOps),
    crv: optional(z.enum(CURVES)),
    ...Object.fromEntries(
      ['n', 'e', 'd', 'dp', 'dq', 'qi', 'p', 'q', 'k', 'x', 'y'].map(name => [name, optional(jwkMember)]),
    ),
    key_hsm: optional(z.string().max(32 * 1024)),
  }),
  ...common,
})
export type ImportBody = z.infer<typeof importBody>

/** A time that is null is removed; one that is left out stays. */
const changedAttributes = attributes.extend({ nbf: seconds.nullish(), exp: seconds.nullish() })

export const updateBody = z.object({ key_ops: optional(keyOps), ...common, attributes: optional(changedAttributes) })
export type UpdateBody = z.infer<typeof updateBody>

/** Larger than any RSA block. Symmetric algorithms take what fits into a request. */
const MAX_INPUT = 32 * 1024
const small = 1024

export const cryptoBody = z.object({
  alg: z.string().min(1).max(32),
  value: base64url(MAX_INPUT),
  iv: optional(base64url(small)),
  aad: optional(base64url(small)),
  tag: optional(base64url(small)),
})
export type CryptoBody = z.infer<typeof cryptoBody>

export const verifyBody = z.object({
  alg: z.string().min(1).max(32),
  digest: base64url(small),
  value: base64url(small),
})

const trigger = z.object({
  timeAfterCreate: optional(z.string().max(32)),
  timeBeforeExpiry: optional(z.string().max(32)),
})
const actionType = z
  .string()
  .transform(text => (/^rotate$/i.test(text) ? 'Rotate' : /^notify$/i.test(text) ? 'Notify' : undefined))
  .refine(type => type !== undefined, "must be 'Rotate' or 'Notify'")

export const rotationPolicyBody = z.object({
  lifetimeActions: optional(z.array(z.object({ trigger, action: z.object({ type: actionType }) })).max(10)),
  attributes: optional(z.object({ expiryTime: optional(z.string().max(32)) })),
})

export const restoreBody = z.object({ value: base64url(512 * 1024) })
export const randomBody = z.object({ count: z.int().min(1).max(128) })
