import type { BaseModel } from '../engines/engine.ts'
import { Conflict } from '../http/errors.ts'
import { badRequest } from './ids.ts'
import { FINISHED } from './job-states.ts'
import type { Models } from './models.ts'
import type { JobSource } from './records.ts'

/** What a job trains: a base, or a fine-tuned model on a base. */
export interface JobOrigin {
  readonly base: BaseModel
  /** Begins the name of the job's model: the base as the client named it first. */
  readonly root: string
  readonly source?: JobSource
}

/**
 * What `model` of a job names: a base or alias, a fine-tuned model of the account, or a checkpoint of one (R27).
 * @throws 400 where there is no such model, or its base is not the file any more that it was trained on; 409 while its job may drop the checkpoint
 */
export async function jobOrigin(
  service: Pick<Models, 'findBase' | 'findTuned'>,
  accountId: string,
  name: string,
): Promise<JobOrigin> {
  const base = service.findBase(name)
  if (base !== undefined) return { base: trainable(base, name), root: name }
  const tuned = await service.findTuned(accountId, name)
  if (tuned === undefined) throw cannot(name)
  const { job, source } = tuned
  if (source.step !== undefined && !FINISHED.has(job.status))
    throw new Conflict(
      'unexpectedEntityState',
      `The checkpoint '${name}' belongs to the fine-tuning job '${job.jobId}', which is ${job.status} and may replace it. Wait for the end of that job.`,
    )
  const own = service.findBase(job.base)
  if (own === undefined || (job.baseSha256 !== undefined && own.sha256 !== job.baseSha256))
    throw badRequest(
      `The model '${name}' can't be trained further: its base '${job.base}' is ${own === undefined ? 'not in this cloud any more' : 'another file now than the one that it was trained on'}.`,
      'model',
    )
  return { base: trainable(own, name), root: job.modelName.slice(0, job.modelName.lastIndexOf('.ft-')), source }
}

function trainable(base: BaseModel, name: string): BaseModel {
  if (base.fineTune) return base
  throw cannot(name, base.untrainable)
}

function cannot(name: string, why?: string): Error {
  return badRequest(
    `The model '${name}' can't be fine-tuned here${why === undefined ? '' : `: ${why}`}. GET /openai/models lists those that can (capabilities.fine_tune).`,
    'model',
  )
}
