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
import { mustNotExist, remove, VersionConflict } from '../store/records.ts'
import { badRequest, notFound } from './ids.ts'
import { starterFrom } from './job-source.ts'
import {
  CHECKPOINT_KINDS,
  checkpoints,
  isOwnCheckpoint,
  isOwnJob,
  isOwnModel,
  jobs,
  MODEL_KINDS,
  models,
  modelUses,
  ownedKey,
  type CheckpointRecord,
  type JobRecord,
  type JobSource,
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
    const found = await this.#findCheckpoint(accountId, modelName)
    return found === undefined
      ? undefined
      : {
          ...baseOf(found.job),
          blob: await blobRecord(records, accountId, found.checkpoint.blobId, CHECKPOINT_KINDS),
        }
  }

  /** A fine-tuned model or a checkpoint of this account, with the job that made it (R27). */
  async findTuned(
    accountId: string,
    name: string,
  ): Promise<{ readonly job: JobRecord; readonly source: JobSource } | undefined> {
    const model = await this.find(accountId, name)
    if (model !== undefined) {
      const job = await this.#jobOf(accountId, model.jobId)
      return job === undefined ? undefined : { job, source: { jobId: job.jobId, model: name } }
    }
    const found = await this.#findCheckpoint(accountId, name)
    if (found === undefined) return undefined
    const { job, checkpoint } = found
    return { job, source: { jobId: job.jobId, model: job.modelName, step: checkpoint.step } }
  }

  async #jobOf(accountId: string, jobId: string): Promise<JobRecord | undefined> {
    const found = await this.#options.records.get(jobs, ownedKey(accountId, jobId))
    if (found !== undefined && !isOwnJob(found, accountId)) throw recordTampered(`the fine-tuning job ${jobId}`)
    return found?.value
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

  /**
   * R28: destroys the key of the weights, and of the checkpoints of its job.
   * @throws 409 while a deployment uses it, or an unfinished job starts from it
   */
  async delete(account: Account, name: string, deployed: readonly Deployment[]): Promise<void> {
    for (;;) {
      try {
        return await this.#delete(account, name, deployed)
      } catch (error) {
        // A job that starts from it was created meanwhile, or another request deleted it.
        if (!(error instanceof VersionConflict && error.collection === modelUses.name)) throw error
      }
    }
  }

  async #delete(account: Account, name: string, deployed: readonly Deployment[]): Promise<void> {
    if (this.findBase(name) !== undefined)
      throw badRequest(`'${name}' is a base model: only fine-tuned models can be deleted.`, 'model')
    const model = await this.find(account.accountId, name)
    if (model === undefined) throw notFound('model', name)
    const user = deployed.find(({ model: used }) => used.name === name || used.name.startsWith(`${name}:ckpt-step-`))
    if (user !== undefined)
      throw new Conflict('conflict', `The model '${name}' is deployed as '${user.name}'. Delete the deployment first.`)
    const { accountId } = account
    const useKey = ownedKey(accountId, model.jobId)
    const use = await this.#options.records.get(modelUses, useKey)
    const starter = await starterFrom(this.#options.records, accountId, model.jobId)
    if (starter !== undefined)
      throw new Conflict(
        'conflict',
        `The fine-tuning job '${starter.jobId}', which is ${starter.status}, starts from the model '${name}' or a checkpoint of it. Wait for its end, or cancel the job first.`,
      )
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
      // No job has begun to use it since the look at all jobs.
      use === undefined ? mustNotExist(modelUses, useKey) : remove(modelUses, useKey, use.version),
      ...own.map(({ id }) => remove(checkpoints, id)),
      ...removals.flatMap(removal => removal.changes),
    ]
    await unlinkAfter(this.#options.audit.append(entry, changes, { shred: true }), removals)
  }

  async #findCheckpoint(
    accountId: string,
    name: string,
  ): Promise<{ readonly checkpoint: CheckpointRecord; readonly job: JobRecord } | undefined> {
    if (name.startsWith('ftckpt-') || name.includes(':ckpt-step-')) {
      const [modelName = '', step = ''] = name.split(':ckpt-step-')
      for await (const stored of everyRecord(this.#options.records, checkpoints, { prefix: `${accountId}/` })) {
        const { value } = stored
        if (value.interim === true || !isOwnCheckpoint(stored, accountId)) continue
        if (value.checkpointId !== name && String(value.step) !== step) continue
        const job = await this.#jobOf(accountId, value.jobId)
        if (job !== undefined && (value.checkpointId === name || job.modelName === modelName))
          return { checkpoint: value, job }
      }
    }
    return undefined
  }
}

/** The base of what was fine-tuned, and its digest where that is known. */
function baseOf({ base, baseSha256 }: Pick<ModelRecord, 'base' | 'baseSha256'>): DeployableModel {
  return { base, ...(baseSha256 === undefined ? {} : { baseSha256 }) }
}
