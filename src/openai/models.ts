import type { Account } from '../accounts/account.ts'
import { accountAudit, type AccountServices } from '../accounts/accounts.ts'
import type { DeployableModel, Deployment, ModelSource } from '../accounts/deployment.ts'
import { unlinkAfter } from '../encryption/blob-commits.ts'
import { blobRecord } from '../encryption/blob-records.ts'
import { recordTampered } from '../encryption/record-tampered.ts'
import type { SealedBlobs } from '../encryption/sealed-blobs.ts'
import type { BaseModel } from '../engines/engine.ts'
import { Conflict } from '../http/errors.ts'
import { allRecords, everyRecord } from '../store/every-record.ts'
import { remove } from '../store/records.ts'
import { badRequest, notFound } from './ids.ts'
import {
  CHECKPOINT_KINDS,
  checkpoints,
  isOwnCheckpoint,
  isOwnModel,
  jobs,
  MODEL_KINDS,
  models,
  ownedKey,
  type CheckpointRecord,
  type ModelRecord,
} from './records.ts'

export interface NamedBase {
  /** The name or alias. */
  readonly name: string
  readonly base: BaseModel
}

export interface ModelsOptions extends Pick<AccountServices, 'records' | 'audit'> {
  readonly blobs: SealedBlobs
  readonly bases: readonly NamedBase[]
}

/** The models of an account: the base models of the catalogue and its own fine-tuned ones. */
export class Models implements ModelSource {
  readonly #options: ModelsOptions
  readonly #blobs: SealedBlobs
  /** Base models with their aliases. */
  readonly bases: readonly NamedBase[]

  constructor(options: ModelsOptions) {
    this.#options = options
    this.#blobs = options.blobs
    this.bases = options.bases
  }

  findBase(name: string): BaseModel | undefined {
    return this.bases.find(known => known.name.toLowerCase() === name.toLowerCase())?.base
  }

  /** Base, fine-tuned model, `<model>:ckpt-step-<n>` or `ftckpt-...` of this account (R27). */
  async resolve(accountId: string, modelName: string): Promise<DeployableModel | undefined> {
    const base = this.findBase(modelName)
    if (base !== undefined) return { base: base.name }
    const { records } = this.#options
    const model = await this.find(accountId, modelName)
    if (model !== undefined)
      return { ...baseOf(model), blob: await blobRecord(records, accountId, model.blobId, MODEL_KINDS) }
    const checkpoint = await this.#findCheckpoint(accountId, modelName)
    if (checkpoint === undefined) return undefined
    const job = await records.get(jobs, ownedKey(accountId, checkpoint.jobId))
    return job === undefined
      ? undefined
      : { ...baseOf(job.value), blob: await blobRecord(records, accountId, checkpoint.blobId, CHECKPOINT_KINDS) }
  }

  async find(accountId: string, name: string): Promise<ModelRecord | undefined> {
    if (!/^[\w.:-]{1,350}$/.test(name)) return undefined
    const found = await this.#options.records.get(models, ownedKey(accountId, name))
    if (found !== undefined && !isOwnModel(found, accountId)) throw recordTampered(`the model ${name}`)
    return found?.value
  }

  async list(accountId: string): Promise<ModelRecord[]> {
    const found = await allRecords(this.#options.records, models, { prefix: `${accountId}/` })
    return found.filter(stored => isOwnModel(stored, accountId)).map(({ value }) => value)
  }

  /** R28: destroys the key of the weights, and of the checkpoints of its job. @throws 409 while a deployment uses it */
  async delete(account: Account, name: string, deployed: readonly Deployment[]): Promise<void> {
    if (this.findBase(name) !== undefined)
      throw badRequest(`'${name}' is a base model: only fine-tuned models can be deleted.`, 'model')
    const model = await this.find(account.accountId, name)
    if (model === undefined) throw notFound('model', name)
    const user = deployed.find(({ model: used }) => used.name === name || used.name.startsWith(`${name}:ckpt-step-`))
    if (user !== undefined)
      throw new Conflict('conflict', `The model '${name}' is deployed as '${user.name}'. Delete the deployment first.`)
    const { accountId } = account
    const own = await allRecords(this.#options.records, checkpoints, {
      prefix: `${ownedKey(accountId, model.jobId)}/`,
    })
    const named = [model.blobId, ...own.map(({ value }) => value.blobId)]
    const removals = await Promise.all(named.map(blobId => this.#blobs.remove(accountId, blobId)))
    const entry = accountAudit(
      account,
      'Microsoft.CognitiveServices/accounts/OpenAI/models/delete',
      `${name}: key destroyed`,
      { blobId: model.blobId },
    )
    const changes = [
      remove(models, ownedKey(accountId, name)),
      ...own.map(({ id }) => remove(checkpoints, id)),
      ...removals.flatMap(removal => removal.changes),
    ]
    await unlinkAfter(this.#options.audit.append(entry, changes, { shred: true }), removals)
  }

  async #findCheckpoint(accountId: string, name: string): Promise<CheckpointRecord | undefined> {
    if (name.startsWith('ftckpt-') || name.includes(':ckpt-step-')) {
      const [modelName = '', step = ''] = name.split(':ckpt-step-')
      for await (const stored of everyRecord(this.#options.records, checkpoints, { prefix: `${accountId}/` })) {
        const { value } = stored
        if (value.interim === true || !isOwnCheckpoint(stored, accountId)) continue
        if (value.checkpointId === name) return value
        if (String(value.step) !== step) continue
        const job = await this.#options.records.get(jobs, ownedKey(accountId, value.jobId))
        if (job?.value.modelName === modelName) return value
      }
    }
    return undefined
  }
}

/** The base of what was fine-tuned, and its digest where that is known. */
function baseOf({ base, baseSha256 }: Pick<ModelRecord, 'base' | 'baseSha256'>): DeployableModel {
  return { base, ...(baseSha256 === undefined ? {} : { baseSha256 }) }
}
