import type { Env } from '../base/env.ts'
import type { KeyRing } from '../encryption/key-ring.ts'
import { heldRecord, openRecord, sealRecord, type SealedRecord } from '../encryption/sealed-records.ts'
import { untilRefused } from '../encryption/until-refused.ts'
import type { Rewards, TrainingMetrics } from '../engines/engine.ts'
import { put, type Change, type RecordStore } from '../store/records.ts'
import { lastIdOf, newId } from './ids.ts'
import { jobEvents, ownedKey, type JobEvent, type JobRecord } from './records.ts'

type ShownEvent = Readonly<Record<string, unknown>> & Pick<JobEvent, 'level'>
type JobName = Pick<JobRecord, 'accountId' | 'jobId'>

/** The events of a job. Messages are metadata. Losses are training results, so they are sealed (R01). */
export class JobEvents {
  readonly #records: RecordStore
  readonly #env: Env
  readonly #ring: KeyRing

  constructor(records: RecordStore, env: Env, ring: KeyRing) {
    this.#records = records
    this.#env = env
    this.#ring = ring
  }

  async message(job: JobName, level: JobEvent['level'], message: string): Promise<Change> {
    return this.#put(job, { ...(await this.#base(job, level)), type: 'message', message })
  }

  /** @throws KeyUnavailable, at the next write of a running job after a revocation (R23) */
  async metrics(job: JobName, metrics: TrainingMetrics): Promise<Change[]> {
    const event = await this.#base(job, 'info')
    const sealed = await sealRecord(this.#ring, job.accountId, eventName(event), metrics)
    return [this.#put(job, { ...event, type: 'metrics', sealed }), ...heldRecord(job.accountId, sealed)]
  }

  /** Newest first, as OpenAI lists them. */
  async list(job: JobName, limit: number, after?: string): Promise<{ events: ShownEvent[]; hasMore: boolean }> {
    const prefix = `${ownedKey(job.accountId, job.jobId)}/`
    const from = after === undefined ? {} : { after: `${prefix}${after}` }
    const found = await this.#records.list(jobEvents, { prefix, reverse: true, limit: limit + 1, ...from })
    const events = []
    const opener = untilRefused()
    for (const { value } of found.slice(0, limit)) events.push(await this.#show(job, value, opener))
    return { events, hasMore: found.length > limit }
  }

  async #show(job: JobName, event: JobEvent, opener: ReturnType<typeof untilRefused>): Promise<ShownEvent> {
    const base = {
      object: 'fine_tuning.job.event',
      id: event.id,
      created_at: event.createdAt,
      level: event.level,
      type: event.type,
    }
    const { sealed } = event
    if (sealed === undefined) return { ...base, message: event.message ?? '', data: null }
    const metrics = await opener(() => this.#openMetrics(job, event, sealed))
    if (metrics === undefined)
      return {
        ...base,
        message: "The metrics of this step are sealed, and the account's data keys currently can't be used.",
        data: null,
      }
    return { ...base, message: metricsMessage(metrics), data: wireMetrics(metrics) }
  }

  async #openMetrics(job: JobName, event: JobEvent, sealed: SealedRecord): Promise<TrainingMetrics> {
    return (await openRecord(this.#ring, job.accountId, eventName(event), sealed)) as TrainingMetrics
  }

  async #base(job: JobName, level: JobEvent['level']): Promise<Omit<JobEvent, 'type'>> {
    const last = await lastIdOf(this.#records, jobEvents, `${ownedKey(job.accountId, job.jobId)}/`)
    const id = newId(this.#env, 'ftevent-', last)
    return { id, jobId: job.jobId, createdAt: Math.floor(this.#env.now() / 1000), level }
  }

  #put(job: JobName, event: JobEvent): Change {
    return put(jobEvents, ownedKey(job.accountId, job.jobId, event.id), event, 0)
  }
}

export function eventName({ jobId, id }: Pick<JobEvent, 'jobId' | 'id'>): string {
  return `event ${jobId}/${id}`
}

/** Metrics with the API's names; absent ones are left out. */
export function wireMetrics(metrics: TrainingMetrics): object {
  return {
    step: metrics.step,
    total_steps: metrics.totalSteps,
    train_loss: metrics.trainLoss,
    train_mean_token_accuracy: metrics.trainMeanTokenAccuracy,
    ...wireRewards('train', metrics.trainRewards),
    // Validation always runs over the whole file, so both pairs agree.
    ...(metrics.validLoss === undefined ? {} : { valid_loss: metrics.validLoss, full_valid_loss: metrics.validLoss }),
    ...(metrics.validMeanTokenAccuracy === undefined
      ? {}
      : {
          valid_mean_token_accuracy: metrics.validMeanTokenAccuracy,
          full_valid_mean_token_accuracy: metrics.validMeanTokenAccuracy,
        }),
    ...wireRewards('valid', metrics.validRewards),
  }
}

/** DPO's rewards have no names in OpenAI's and Azure's APIs: these follow trl's `rewards/chosen`, `rewards/accuracies` and so on. */
export function wireRewards(of: 'train' | 'valid', rewards: Rewards | undefined): Readonly<Record<string, number>> {
  if (rewards === undefined) return {}
  const { preferred, nonPreferred, accuracy } = rewards
  return {
    [`${of}_reward_preferred`]: preferred,
    [`${of}_reward_non_preferred`]: nonPreferred,
    [`${of}_reward_margin`]: preferred - nonPreferred,
    [`${of}_reward_accuracy`]: accuracy,
  }
}

function metricsMessage(metrics: TrainingMetrics): string {
  const valid = metrics.validLoss === undefined ? '' : `, validation loss=${metrics.validLoss.toFixed(4)}`
  return `Step ${metrics.step}/${metrics.totalSteps}: training loss=${metrics.trainLoss.toFixed(4)}${valid}`
}
