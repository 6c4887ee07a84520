import { z } from 'zod'
import type { ChatMessage } from '../engines/engine.ts'
import type { RefinementParams } from './field-error.ts'

const MAX_TEXT = 1024 * 1024
const text = z.string().max(MAX_TEXT)
const parts = z
  .array(z.looseObject({ type: z.literal('text'), text }))
  .min(1)
  .max(64)

/** Dropping a tool call silently would change the conversation. */
const noTools = z
  .custom<unknown>(isAbsent, {
    error: 'Tool calls in messages are not supported with this model: leave them out.',
    params: { code: 'unsupported_parameter' } satisfies RefinementParams,
  })
  .optional()

const message = z.looseObject({
  role: z.enum(['system', 'developer', 'user', 'assistant']),
  content: z.union([text, parts]),
  tool_calls: noTools,
  function_call: noTools,
})

const stop = z.union([z.string().min(1).max(200), z.array(z.string().min(1).max(200)).max(4)])
const tokens = z.int().min(1).max(100_000)

/** A field of OpenAI's for something that this engine can't do. Neutral values are accepted, others are refused by name. */
const only = (name: string, isNeutral: (value: unknown) => boolean) =>
  z
    .custom<unknown>(value => isAbsent(value) || isNeutral(value), {
      error: `Unsupported parameter: '${name}' is not supported with this model. Leave it out.`,
      params: { code: 'unsupported_parameter' } satisfies RefinementParams,
    })
    .optional()

const standard = (name: string, value: number) =>
  z
    .custom<number>(given => isAbsent(given) || typeof given !== 'number' || given === value, {
      error: `Unsupported value: '${name}' supports only the default (${value}) with this model.`,
      params: { code: 'unsupported_value' } satisfies RefinementParams,
    })
    .optional()

const isNever = (): boolean => false
const isFalse = (value: unknown): boolean => value === false
const isEmptyList = (value: unknown): boolean => Array.isArray(value) && value.length === 0
const isEmptyObject = (value: unknown): boolean => typeof value === 'object' && Object.keys(value ?? {}).length === 0

/** Every other field of OpenAI's request, with the values that this engine supports. */
const beyond = {
  audio: only('audio', isNever),
  data_sources: only('data_sources', isEmptyList),
  function_call: only('function_call', value => value === 'none' || value === 'auto'),
  functions: only('functions', isEmptyList),
  logit_bias: only('logit_bias', isEmptyObject),
  logprobs: only('logprobs', isFalse),
  modalities: only('modalities', value => JSON.stringify(value) === '["text"]'),
  moderation: only('moderation', isNever),
  prediction: only('prediction', isNever),
  reasoning_effort: only('reasoning_effort', value => value === 'none'),
  response_format: only('response_format', value => (value as { type?: unknown }).type === 'text'),
  service_tier: only('service_tier', value => value === 'auto' || value === 'default'),
  store: only('store', isFalse),
  tool_choice: only('tool_choice', value => value === 'none' || value === 'auto'),
  tools: only('tools', isEmptyList),
  top_logprobs: only('top_logprobs', value => value === 0),
  verbosity: only('verbosity', value => value === 'medium'),
  web_search_options: only('web_search_options', isNever),
  // Hints about caller and cache, which are not kept.
  metadata: z.record(z.string(), z.string()).nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  prompt_cache_key: z.string().nullish(),
  prompt_cache_options: z.unknown().optional(),
  prompt_cache_retention: z.string().nullish(),
  safety_identifier: z.string().nullish(),
  user: z.string().nullish(),
}

const penalty = (name: string) => z.number().min(-2).max(2).nullish().pipe(standard(name, 0).nullish())

const wire = z
  .strictObject({
    model: z.string().max(256).nullish(),
    messages: z.array(message).min(1).max(512),
    stream: z.boolean().nullish(),
    stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
    max_tokens: tokens.nullish(),
    max_completion_tokens: tokens.nullish(),
    temperature: z.number().min(0).max(2).nullish(),
    top_p: z.number().min(0).max(1).nullish(),
    seed: z.int().nullish(),
    n: z.int().min(1).max(128).nullish().pipe(standard('n', 1).nullish()),
    presence_penalty: penalty('presence_penalty'),
    frequency_penalty: penalty('frequency_penalty'),
    stop: stop.nullish(),
    ...beyond,
  })
  .refine(body => body.max_tokens == null || body.max_completion_tokens == null, {
    error: "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
    params: { code: 'invalid_parameter_combination', param: 'max_tokens' } satisfies RefinementParams,
  })
  .refine(body => body.stream_options == null || body.stream === true, {
    error: "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
    params: { code: 'invalid_value', param: 'stream_options' } satisfies RefinementParams,
  })

/** The request of a chat completion. */
export const chatBody = wire.transform(body => {
  const maxTokens = body.max_completion_tokens ?? body.max_tokens
  return {
    model: body.model ?? undefined,
    stream: body.stream ?? false,
    includeUsage: body.stream_options?.include_usage ?? false,
    request: {
      messages: body.messages.map(({ role, content }): ChatMessage => ({
        role,
        content: typeof content === 'string' ? content : content.map(part => part.text).join(''),
      })),
      ...(maxTokens == null ? {} : { maxTokens }),
      ...(body.temperature == null ? {} : { temperature: body.temperature }),
      ...(body.top_p == null ? {} : { topP: body.top_p }),
      // OpenAI takes 64 bits, the engine 32.
      ...(body.seed == null ? {} : { seed: body.seed >>> 0 }),
      ...(body.stop == null ? {} : { stop: typeof body.stop === 'string' ? [body.stop] : body.stop }),
    },
  }
})

export type ChatBody = z.infer<typeof chatBody>

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null
}
