import { z } from 'zod'
import { MAX_CAPACITY } from './capacity-routes.ts'
import type { BlobRecord, DataKind } from '../encryption/blob-records.ts'
import { isInPlace } from '../encryption/record-tampered.ts'
import { collection, type Stored } from '../store/records.ts'

/** A model that serves under a name that the account has chosen. */
export interface Deployment {
  readonly accountId: string
  readonly name: string
  readonly model: { readonly format: string; readonly name: string; readonly version: string }
  readonly sku: { readonly name: string; readonly capacity: number }
  /** The catalogue's base model it runs on. */
  readonly base: string
  /** Of the base's file on which its adapter was trained. */
  readonly baseSha256?: string | undefined
  /** The deployment's own sealed copy of a fine-tuned model's adapter (R25); absent for a base model. */
  readonly blobId?: string
  /** Beyond the article: `stop` ends serving when the customer's key is lost; absent: it goes on (R25). */
  readonly onKeyUnavailable?: 'stop'
  readonly createdAt: string
}

/** By `<account id>/<name in lower case>`. */
export const deployments = collection<Deployment>('accounts.deployments')

export function deploymentKey(accountId: string, name: string): string {
  return `${accountId}/${name.toLowerCase()}`
}

/** K5: whether a deployment's record has the id that fits its value. */
export function isOwnDeployment(stored: Stored<Deployment>, accountId: string): boolean {
  return isInPlace(stored, accountId, value => deploymentKey(value.accountId, value.name))
}

/** The kind of a deployment's own copy. For one that stops with its key, the copy depends on the customer's key. */
export function copyKindOf({ onKeyUnavailable }: Pick<Deployment, 'onKeyUnavailable'>): DataKind {
  return onKeyUnavailable === 'stop' ? 'fine-tuned-model' : 'deployment'
}

/** az 2.91 sends it as a string. */
const capacity = z.preprocess(
  given => (typeof given === 'string' && /^\d{1,6}$/.test(given) ? Number(given) : given),
  z.int().min(1).max(MAX_CAPACITY),
)

/** az 2.45 sends `scaleSettings` and no sku, newer clients a sku. Both are accepted. */
export const deploymentBody = z.object({
  sku: z.object({ name: z.string().min(1).max(64), capacity: capacity.nullish() }).nullish(),
  properties: z.object({
    model: z.object({
      format: z.string().max(32).nullish(),
      name: z.string().min(1).max(256),
      version: z
        .string()
        .regex(/^[\w.-]{0,64}$/, "must be up to 64 letters, digits, '_', '.' and '-'")
        .nullish(),
      source: z.string().max(500).nullish(),
      sourceAccount: z.string().max(500).nullish(),
    }),
    onKeyUnavailable: z.enum(['serve', 'stop']).nullish(),
    scaleSettings: z.object({ scaleType: z.string().max(64).nullish(), capacity: capacity.nullish() }).nullish(),
  }),
})

export type DeploymentBody = z.infer<typeof deploymentBody>

/** The model behind a name. `blob` is the adapter of a fine-tuned model. */
export interface DeployableModel {
  readonly base: string
  /** Of the base's file on which the adapter was trained, where that is known. */
  readonly baseSha256?: string
  readonly blob?: BlobRecord
}

/** Looks models up. The module openai has the fine-tuned ones. */
export interface ModelSource {
  /** Undefined when the account has no such model. */
  resolve(accountId: string, modelName: string): Promise<DeployableModel | undefined>
}
