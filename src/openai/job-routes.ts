import { z } from 'zod'
import type { AccountServices } from '../accounts/accounts.ts'
import type { Account } from '../accounts/account.ts'
import type { KeyRing } from '../encryption/key-ring.ts'
import { untilRefused } from '../encryption/until-refused.ts'
import { openRecord } from '../encryption/sealed-records.ts'
import type { TrainingMetrics } from '../engines/engine.ts'
import { json } from '../http/respond.ts'
import type { Call } from '../http/route.ts'
import type { DataRoute } from './data-plane.ts'
import { pageSize, readQuery } from './file-routes.ts'
import { checkId, notFound } from './ids.ts'
import { jobBody } from './job-body.ts'
import { checkpointName } from './job-checkpoints.ts'
import { wireMetrics, type JobEvents } from './job-events.ts'
import type { Jobs } from './jobs.ts'
import { checkpoints, isOwnCheckpoint, ownedKey, type CheckpointRecord, type JobRecord } from './records.ts'
import { allRecords } from '../store/every-record.ts'

const page = z.object({
  limit: pageSize(100).default(20),
  after: z.string().max(64).optional(),
})

interface JobServices extends Pick<AccountServices, 'records' | 'keyRing'> {
  readonly jobs: Jobs
  readonly events: JobEvents
}

export function jobRoutes(services: JobServices): DataRoute[] {
  const { jobs: service, keyRing } = services
  const at = { path: '/fine_tuning/jobs/:job', action: 'fine-tunes/read', maxBody: 0 } as const
  const act = (name: 'cancel' | 'pause' | 'resume'): DataRoute => ({
    ...at,
    method: 'POST',
    path: `/fine_tuning/jobs/:job/${name}`,
    action: 'fine-tunes/write',
    maxBody: 4096,
    handler: async (call, account) => {
      // R23: a job that can't read its checkpoint must not look as if it went on.
      if (name === 'resume') await keyRing.leases.keys(account.accountId)
      return json(showJob(await service[name](account.accountId, String(call.params['job']))))
    },
  })
  return [
    {
      ...at,
      method: 'POST',
      path: '/fine_tuning/jobs',
      action: 'fine-tunes/write',
      maxBody: 64 * 1024,
      handler: (call, account) => createJob(service, call, account),
    },
    { ...at, method: 'GET', path: '/fine_tuning/jobs', handler: (call, account) => listJobs(service, call, account) },
    {
      ...at,
      method: 'GET',
      handler: async (call, account) =>
        json(showJob((await service.get(account.accountId, String(call.params['job']))).value)),
    },
    act('cancel'),
    act('pause'),
    act('resume'),
    // Azure's own documentation sometimes reads events and checkpoints with POST, so both verbs are accepted.
    ...(['GET', 'POST'] as const).flatMap((method): DataRoute[] => [
      {
        ...at,
        method,
        path: '/fine_tuning/jobs/:job/events',
        maxBody: 4096,
        handler: (call, account) => listEvents(services, call, account),
      },
      {
        ...at,
        method,
        path: '/fine_tuning/jobs/:job/checkpoints',
        maxBody: 4096,
        handler: (call, account) => listCheckpoints(services, call, account),
      },
    ]),
  ]
}

async function createJob(service: Jobs, call: Call, account: Account): Promise<Response> {
  const job = await service.create(account, await call.json(jobBody))
  return json(showJob(job), { status: 201, headers: { location: `${call.origin}${call.url.pathname}/${job.jobId}` } })
}

async function listJobs(service: Jobs, call: Call, account: Account): Promise<Response> {
  const { limit, after } = readQuery(call, page)
  const from = after === undefined ? {} : { after: checkId(after, 'ftjob-', 'fine-tuning job') }
  const found = await service.list(account.accountId, { limit: limit + 1, ...from })
  const data = found.slice(0, limit).map(({ value }) => showJob(value))
  return json({ object: 'list', data, has_more: found.length > limit })
}

async function listEvents(
  { jobs: service, events: ofJobs }: JobServices,
  call: Call,
  account: Account,
): Promise<Response> {
  const { limit, after } = readQuery(call, page)
  const { value } = await service.get(account.accountId, String(call.params['job']))
  const from = after === undefined ? undefined : checkId(after, 'ftevent-', 'event')
  const { events, hasMore } = await ofJobs.list(value, limit, from)
  // Azure uses `warning`; OpenAI, whose form v1 is, uses `warn`.
  const isV1 = call.url.pathname.toLowerCase().startsWith('/openai/v1/')
  const data = events.map(event => (isV1 && event.level === 'warning' ? { ...event, level: 'warn' } : event))
  return json({ object: 'list', data, has_more: hasMore })
}

async function listCheckpoints(
  { jobs: service, records, keyRing }: JobServices,
  call: Call,
  account: Account,
): Promise<Response> {
  const { limit, after } = readQuery(call, page)
  const { value: job } = await service.get(account.accountId, String(call.params['job']))
  const all = await allRecords(records, checkpoints, {
    prefix: `${ownedKey(account.accountId, job.jobId)}/`,
    reverse: true,
  })
  const found = all.filter(stored => isOwnCheckpoint(stored, account.accountId) && stored.value.interim !== true)
  // A job keeps only a few, so they are paged in memory, the newest first.
  const begin = after === undefined ? 0 : found.findIndex(({ value }) => value.checkpointId === after) + 1
  if (after !== undefined && begin === 0) throw notFound('checkpoint', after)
  const data: ({ id: string } & Record<string, unknown>)[] = []
  const opener = untilRefused()
  for (const { value } of found.slice(begin, begin + limit)) {
    // Lists work while the customer's key is revoked, without the values that it seals.
    const metrics = (await opener(() => metricsOf(keyRing, account.accountId, value))) ?? { step: value.step }
    data.push({ ...showCheckpoint(job, value), metrics })
  }
  const ends = { first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null }
  return json({ object: 'list', data, ...ends, has_more: found.length > begin + limit })
}

async function metricsOf(ring: KeyRing, accountId: string, checkpoint: CheckpointRecord): Promise<object> {
  const { metrics, step } = checkpoint
  const all = (await openRecord(ring, accountId, checkpointName(checkpoint), metrics)) as TrainingMetrics[]
  const own = all.findLast(one => one.step === step) ?? all.at(-1)
  return own === undefined ? { step } : wireMetrics(own)
}

function showCheckpoint(job: JobRecord, checkpoint: CheckpointRecord): { id: string } & Record<string, unknown> {
  return {
    id: checkpoint.checkpointId,
    object: 'fine_tuning.job.checkpoint',
    created_at: checkpoint.createdAt,
    fine_tuning_job_id: job.jobId,
    fine_tuned_model_checkpoint: `${job.modelName}:ckpt-step-${checkpoint.step}`,
    step_number: checkpoint.step,
  }
}

function showJob(job: JobRecord): object {
  const { nEpochs, batchSize, learningRateMultiplier, beta, l2Multiplier } = job.hyperparameters
  const common = { n_epochs: nEpochs, batch_size: batchSize, learning_rate_multiplier: learningRateMultiplier }
  const ofDpo = { dpo: { hyperparameters: { ...common, beta, l2_multiplier: l2Multiplier } } }
  return {
    id: job.jobId,
    object: 'fine_tuning.job',
    created_at: job.createdAt,
    finished_at: job.finishedAt ?? null,
    estimated_finish: job.status === 'running' ? (job.estimatedFinish ?? null) : null,
    model: job.model,
    fine_tuned_model: job.status === 'succeeded' ? job.modelName : null,
    organization_id: '',
    status: job.status,
    training_file: job.trainingFile,
    validation_file: job.validationFile ?? null,
    result_files: job.resultFile === undefined ? [] : [job.resultFile],
    // OpenAI returns them beside the method for supervised jobs alone.
    hyperparameters: job.method === undefined ? common : null,
    method: {
      type: job.method ?? 'supervised',
      ...(job.method === undefined ? { supervised: { hyperparameters: common } } : ofDpo),
    },
    seed: job.seed,
    suffix: job.suffix ?? null,
    trained_tokens: job.trainedTokens ?? null,
    error: job.error === undefined ? null : { ...job.error, param: null },
    integrations: [],
  }
}
