import type OpenAI from 'openai'
import { z } from 'zod'

/** The official client's types as schemas, which the compiler checks against these types, with Azure's own fields. */

const seconds = z.int().min(1_600_000_000).max(4_102_444_800)
const fileId = z.string().regex(/^file-[0-9a-f]{32}$/)
const jobId = z.string().regex(/^ftjob-[0-9a-f]{32}$/)
const count = z.int().min(0)

export const file = z.strictObject({
  id: fileId,
  object: z.literal('file'),
  bytes: count,
  created_at: seconds,
  filename: z.string().min(1),
  purpose: z.enum(['fine-tune', 'fine-tune-results']),
  status: z.literal('processed'),
}) satisfies z.ZodType<OpenAI.FileObject>

const hyperparameters = z.strictObject({
  n_epochs: z.union([z.literal('auto'), z.int()]),
  batch_size: z.union([z.literal('auto'), z.int()]),
  learning_rate_multiplier: z.union([z.literal('auto'), z.number()]),
})

const jobBase = {
  id: jobId,
  object: z.literal('fine_tuning.job'),
  created_at: seconds,
  model: z.string(),
  organization_id: z.string(),
  training_file: fileId,
  validation_file: fileId.nullable(),
  hyperparameters,
  method: z.strictObject({ type: z.literal('supervised'), supervised: z.strictObject({ hyperparameters }) }),
  seed: z.int(),
  suffix: z.string().nullable(),
  integrations: z.array(z.never()),
}

/** Azure's `pending` and `paused` are not states that the client declares. */
export const unfinishedJob = z.strictObject({
  ...jobBase,
  status: z.enum(['pending', 'running']),
  finished_at: z.null(),
  estimated_finish: seconds.nullable(),
  fine_tuned_model: z.null(),
  result_files: z.array(z.never()),
  trained_tokens: z.null(),
  error: z.null(),
})

export const succeededJob = z.strictObject({
  ...jobBase,
  status: z.literal('succeeded'),
  finished_at: seconds,
  estimated_finish: z.null(),
  fine_tuned_model: z.string().regex(/^gpt-4o-mini-2024-07-18\.ft-[0-9a-f]{32}-shapes$/),
  result_files: z.array(fileId).length(1),
  trained_tokens: z.int().positive(),
  error: z.null(),
}) satisfies z.ZodType<OpenAI.FineTuning.FineTuningJob>

const metrics = z.strictObject({
  step: z.int(),
  total_steps: z.int(),
  train_loss: z.number(),
  train_mean_token_accuracy: z.number(),
  valid_loss: z.number(),
  valid_mean_token_accuracy: z.number(),
  full_valid_loss: z.number(),
  full_valid_mean_token_accuracy: z.number(),
})
const metricsWithoutValidation = metrics.omit({
  valid_loss: true,
  valid_mean_token_accuracy: true,
  full_valid_loss: true,
  full_valid_mean_token_accuracy: true,
})

export const event = z.strictObject({
  id: z.string().regex(/^ftevent-[0-9a-f]{32}$/),
  object: z.literal('fine_tuning.job.event'),
  created_at: seconds,
  level: z.enum(['info', 'warn', 'error']),
  message: z.string().min(1),
  type: z.enum(['message', 'metrics']),
  data: z.union([z.null(), metrics, metricsWithoutValidation]),
}) satisfies z.ZodType<OpenAI.FineTuning.FineTuningJobEvent>

export const checkpoint = z.strictObject({
  id: z.string().regex(/^ftckpt-[0-9a-f]{32}$/),
  object: z.literal('fine_tuning.job.checkpoint'),
  created_at: seconds,
  fine_tuned_model_checkpoint: z.string().regex(/\.ft-[0-9a-f]{32}-shapes:ckpt-step-\d+$/),
  fine_tuning_job_id: jobId,
  step_number: z.int().positive(),
  metrics,
}) satisfies z.ZodType<OpenAI.FineTuning.Jobs.FineTuningJobCheckpoint>

/** Azure asks for capabilities, deprecation and life cycle. */
const modelBase = {
  id: z.string(),
  object: z.literal('model'),
  created: count,
  created_at: count,
  owned_by: z.string(),
  status: z.literal('succeeded'),
  capabilities: z.strictObject({
    fine_tune: z.boolean(),
    inference: z.boolean(),
    completion: z.boolean(),
    chat_completion: z.boolean(),
    embeddings: z.boolean(),
  }),
  lifecycle_status: z.enum(['preview', 'generally-available']),
}

export const baseModel = z.strictObject({
  ...modelBase,
  deprecation: z.strictObject({ fine_tune: seconds, inference: seconds }),
  model: z.null(),
  fine_tune: z.null(),
  base_model: z.string(),
  license: z.string(),
  description: z.string(),
}) satisfies z.ZodType<OpenAI.Model>

export const fineTunedModel = z.strictObject({
  ...modelBase,
  deprecation: z.strictObject({ inference: seconds }),
  model: z.string(),
  fine_tune: jobId,
  trained_from: z.string().nullable(),
}) satisfies z.ZodType<OpenAI.Model>

const usage = z
  .strictObject({
    prompt_tokens: z.int().positive(),
    completion_tokens: z.int().positive(),
    total_tokens: z.int().positive(),
    prompt_tokens_details: z.strictObject({ audio_tokens: z.literal(0), cached_tokens: z.literal(0) }),
    completion_tokens_details: z.strictObject({
      accepted_prediction_tokens: z.literal(0),
      audio_tokens: z.literal(0),
      reasoning_tokens: z.literal(0),
      rejected_prediction_tokens: z.literal(0),
    }),
  })
  .refine(value => value.prompt_tokens + value.completion_tokens === value.total_tokens)

const frame = {
  id: z.string().regex(/^chatcmpl-[0-9a-f]{32}$/),
  created: seconds,
  model: z.string().min(1),
  system_fingerprint: z.string().regex(/^fp_[0-9a-f]{10}$/),
}
const finishReason = z.enum(['stop', 'length'])

export const completion = z.strictObject({
  ...frame,
  object: z.literal('chat.completion'),
  choices: z
    .array(
      z.strictObject({
        index: z.literal(0),
        message: z.strictObject({ role: z.literal('assistant'), content: z.string(), refusal: z.null() }),
        finish_reason: finishReason,
        logprobs: z.null(),
      }),
    )
    .length(1),
  usage,
}) satisfies z.ZodType<OpenAI.ChatCompletion>

const delta = z.strictObject({ role: z.literal('assistant').optional(), content: z.string().optional() })

export const chunk = z.strictObject({
  ...frame,
  object: z.literal('chat.completion.chunk'),
  choices: z
    .array(z.strictObject({ index: z.literal(0), delta, finish_reason: finishReason.nullable(), logprobs: z.null() }))
    .max(1),
})

/** With `stream_options`: every chunk has a `usage`, the last one no choice. */
export const chunkWithUsage = chunk.extend({ usage: usage.nullable() }) satisfies z.ZodType<
  Omit<OpenAI.ChatCompletionChunk, 'choices'>
>
