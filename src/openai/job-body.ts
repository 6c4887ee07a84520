import { z } from 'zod'
import type { JobHyperparameters } from './records.ts'

/** Azure writes `auto` as -1. */
const orAuto = (number: z.ZodNumber, range: string) =>
  z.union([z.literal('auto'), z.literal(-1), number], `must be 'auto' (or -1) or ${range}`).nullish()

const hyperparameters = z.strictObject({
  n_epochs: orAuto(z.int().min(1).max(1000), 'a whole number from 1 to 1000'),
  batch_size: orAuto(z.int().min(1).max(256), 'a whole number from 1 to 256'),
  learning_rate_multiplier: orAuto(z.number().positive().max(100), 'a number above 0, up to 100'),
})

/** Fields are refused and not dropped silently, since the client would believe that they work. */
const absent = (what: string) =>
  z.custom<unknown>(isNothing, `${what} are not supported here: leave the field out`).optional()

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
  method: z
    .object({
      type: z.literal('supervised', 'only the method supervised is supported'),
      supervised: z.object({ hyperparameters: hyperparameters.nullish() }).nullish(),
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
  readonly hyperparameters: JobHyperparameters
}

export const jobBody = wire.transform((body): JobBody => {
  const given = body.method?.supervised?.hyperparameters ?? body.hyperparameters
  const automatic = (value: number | 'auto' | null | undefined): number | 'auto' =>
    value == null || value === -1 ? 'auto' : value
  return {
    model: body.model,
    trainingFile: body.training_file,
    ...(body.validation_file == null ? {} : { validationFile: body.validation_file }),
    ...(body.suffix == null ? {} : { suffix: body.suffix }),
    ...(body.seed == null ? {} : { seed: body.seed }),
    hyperparameters: {
      nEpochs: automatic(given?.n_epochs),
      batchSize: automatic(given?.batch_size),
      learningRateMultiplier: automatic(given?.learning_rate_multiplier),
    },
  }
})

function isNothing(value: unknown): boolean {
  return value === undefined || value === null || (typeof value === 'object' && Object.keys(value).length === 0)
}
