import { z } from 'zod'
import type { JobHyperparameters } from './records.ts'

const epochs = z.union([z.literal('auto'), z.literal(-1), z.int().min(1).max(1000)])
const hyperparameters = z.object({
  n_epochs: epochs.nullish(),
  batch_size: z.union([z.literal('auto'), z.literal(-1), z.int().min(1).max(256)]).nullish(),
  learning_rate_multiplier: z.union([z.literal('auto'), z.literal(-1), z.number().positive().max(100)]).nullish(),
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
  method: z
    .object({
      type: z.literal('supervised', 'only the method supervised is supported'),
      supervised: z.object({ hyperparameters: hyperparameters.nullish() }).nullish(),
    })
    .nullish(),
})

/** A job as asked for; `auto` (Azure: -1) leaves a number to the trainer. */
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
