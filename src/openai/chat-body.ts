import { z } from 'zod'
import type { ChatMessage } from '../engines/engine.ts'

const text = z.string().max(1024 * 1024)
const parts = z
  .array(z.object({ type: z.literal('text', 'only text parts are supported'), text }))
  .min(1)
  .max(64)

const message = z.object({
  role: z.enum(['system', 'developer', 'user', 'assistant'], "must be 'system', 'developer', 'user' or 'assistant'"),
  content: z.union([text, parts]),
})

const wire = z.object({
  model: z.string().max(256).nullish(),
  messages: z.array(message).min(1).max(512),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  max_tokens: z.int().min(1).max(100_000).nullish(),
  max_completion_tokens: z.int().min(1).max(100_000).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  seed: z.int().nullish(),
  n: z.literal(1, 'only one choice is supported').nullish(),
  stop: z.union([z.string().min(1).max(200), z.array(z.string().min(1).max(200)).max(4)]).nullish(),
})

/** A chat completion as asked for. `developer` is what newer models call the system's role. */
export const chatBody = wire.transform(body => {
  const maxTokens = body.max_completion_tokens ?? body.max_tokens
  return {
    model: body.model ?? undefined,
    stream: body.stream ?? false,
    includeUsage: body.stream_options?.include_usage ?? false,
    request: {
      messages: body.messages.map(({ role, content }): ChatMessage => ({
        role: role === 'developer' ? 'system' : role,
        content: typeof content === 'string' ? content : content.map(part => part.text).join(''),
      })),
      ...(maxTokens == null ? {} : { maxTokens }),
      ...(body.temperature == null ? {} : { temperature: body.temperature }),
      ...(body.top_p == null ? {} : { topP: body.top_p }),
      ...(body.seed == null ? {} : { seed: body.seed }),
      ...(body.stop == null ? {} : { stop: typeof body.stop === 'string' ? [body.stop] : body.stop }),
    },
  }
})

export type ChatBody = z.infer<typeof chatBody>
