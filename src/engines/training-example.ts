import type { Conversation } from './engine.ts'
import { isAbsent, isObject, unknownField, type Problem } from './training-fields.ts'
import { checkMessage, type GivenMessage } from './training-message.ts'
import { pairCalls } from './training-pairs.ts'
import { checkTools } from './training-tools.ts'

/** The fields of an example. The deprecated form has `functions` instead of `tools`. */
const FIELDS = ['messages', 'tools', 'parallel_tool_calls', 'functions']

/** One example of chat-format JSONL as a conversation, or `code|problem` for a person, never with the content. */
export function checkExample(value: unknown): Conversation | Problem {
  if (!isObject(value)) return 'not_an_object|is not a JSON object'
  const { messages, parallel_tool_calls: parallel } = value
  if (!Array.isArray(messages)) return 'missing_messages|has no "messages" list'
  if (messages.length === 0) return 'missing_messages|has an empty "messages" list'
  const extra = unknownField(value, FIELDS, 'has')
  if (extra !== undefined) return extra
  const tools = checkTools(value)
  if (typeof tools === 'string') return tools
  if (!isAbsent(parallel) && typeof parallel !== 'boolean') {
    return 'invalid_parallel_tool_calls|has a "parallel_tool_calls" that is neither true nor false'
  }
  const given: GivenMessage[] = []
  for (const [index, message] of messages.entries()) {
    const result = checkMessage(message, index + 1)
    if (typeof result === 'string') return result
    given.push(result)
  }
  const paired = pairCalls(given, tools, parallel ?? undefined)
  if (typeof paired === 'string') return paired
  const answers = paired.filter(({ role }) => role === 'assistant')
  if (answers.length === 0) {
    return 'no_assistant_message|has no message with role "assistant", so there is nothing to learn'
  }
  if (answers.every(({ weight }) => weight === 0)) {
    return 'no_weighted_message|gives every assistant message weight 0, so there is nothing to learn'
  }
  return {
    messages: paired,
    ...(tools.length === 0 ? {} : { tools }),
    ...(isAbsent(parallel) ? {} : { parallelToolCalls: parallel }),
  }
}
