import { z } from 'zod'
import type { TrainingMethod } from '../engines/engine.ts'
import type { JobHyperparameters } from './records.ts'

/** Azure writes `auto` as -1. */
const orAuto = (number: z.ZodNumber, range: string) =>
  z.union([z.literal('auto'), z.literal(-1), number], `must be 'auto' (or -1) or ${range}`).nullish()

const common = {
  n_epochs: orAuto(z.int().min(1).max(1000), 'a whole number from 1 to 1000'),
  batch_size: orAuto(z.int().min(1).max(256), 'a whole number from 1 to 256'),
  learning_rate_multiplier: orAuto(z.number().positive().max(100), 'a number above 0, up to 100'),
}
const hyperparameters = z.strictObject(common)

/** OpenAI documents 0 < beta <= 2. */
const ofDpo = {
  beta: orAuto(z.number().positive().max(2), 'a number above 0, up to 2'),
  l2_multiplier: orAuto(z.number().min(0).max(10), 'a number from 0 to 10'),
}

/** Fields are refused and not dropped silently, since the client would believe that they work. */
const absent = (what: string) =>
  z.custom<unknown>(isNothing, `${what} are not supported here: leave the field out`).optional()

const method = z.strictObject({
  type: z.enum(['supervised', 'dpo'], 'only the methods supervised and dpo are supported'),
  supervised: z.strictObject({ hyperparameters: hyperparameters.nullish() }).nullish(),
  // Azure's own example has beta and l2_multiplier beside the hyperparameters.
  dpo: z.strictObject({ hyperparameters: z.strictObject({ ...common, ...ofDpo }).nullish(), ...ofDpo }).nullish(),
})

const wire = z.object({
  model: z.string().min(1).max(256),
  training_file: z.string().min(1).max(128),
  validation_file: z.string().min(1).max(128).nullish(),
  suffix: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,40}$/, "must be 1 to 40 letters, digits, '_' and '-'")
    .nullish(),
  seed: z.int().min(0).max(2_147_483_647).nullish(),
  hyperparameters: hyperparameters.nullish(),
  method: method
    .refine(given => given[given.type === 'dpo' ? 'supervised' : 'dpo'] == null, {
      error: 'has settings of another method than its type',
    })
    .nullish(),
  integrations: absent('integrations'),
  metadata: absent('metadata of jobs'),
})

/** The request of a job. `auto` (Azure: -1) leaves a number to the trainer. */
export interface JobBody {
  readonly model: string
  readonly trainingFile: string
  readonly validationFile?: string
  readonly suffix?: string
  readonly seed?: number
  readonly method: TrainingMethod
  readonly hyperparameters: JobHyperparameters
}

export const jobBody = wire.transform((body): JobBody => {
  const { type = 'supervised', supervised, dpo } = body.method ?? {}
  const given = dpo?.hyperparameters ?? supervised?.hyperparameters ?? body.hyperparameters
  return {
    model: body.model,
    trainingFile: body.training_file,
    ...(body.validation_file == null ? {} : { validationFile: body.validation_file }),
    ...(body.suffix == null ? {} : { suffix: body.suffix }),
    ...(body.seed == null ? {} : { seed: body.seed }),
    method: type,
    hyperparameters: {
      nEpochs: automatic(given?.n_epochs),
      batchSize: automatic(given?.batch_size),
      learningRateMultiplier: automatic(given?.learning_rate_multiplier),
      ...(type === 'supervised'
        ? {}
        : {
            beta: automatic(dpo?.hyperparameters?.beta ?? dpo?.beta),
            l2Multiplier: automatic(dpo?.hyperparameters?.l2_multiplier ?? dpo?.l2_multiplier),
          }),
    },
  }
})

function automatic(value: number | 'auto' | null | undefined): number | 'auto' {
  return value == null || value === -1 ? 'auto' : value
}

function isNothing(value: unknown): boolean {
  return value === undefined || value === null || (typeof value === 'object' && Object.keys(value).length === 0)
}
