import type { ChatMessage, FindingCode } from './engine.ts'

type Problem = `${FindingCode}|${string}`

const ROLES = new Set(['system', 'user', 'assistant'])

/**
 * One example of chat-format JSONL as messages, or `code|problem` for a person, never with the content.
 *
 * Tool calls and function messages are refused. The embedded engine has no template for them, and if they were dropped
 * silently, the training would not be on what the file says.
 */
export function checkExample(value: unknown): ChatMessage[] | Problem {
  if (typeof value !== 'object' || value === null) return 'not_an_object|is not a JSON object'
  const example = value as Record<string, unknown>
  if (example['tools'] !== undefined || example['functions'] !== undefined) {
    return 'unsupported_tools|defines tools; this engine trains on plain messages only'
  }
  const messages = example['messages']
  if (!Array.isArray(messages)) return 'missing_messages|has no "messages" list'
  if (messages.length === 0) return 'missing_messages|has an empty "messages" list'
  const checked: ChatMessage[] = []
  for (const [index, message] of messages.entries()) {
    const result = checkMessage(message, index + 1)
    if (typeof result === 'string') return result
    checked.push(result)
  }
  if (!checked.some(message => message.role === 'assistant')) {
    return 'no_assistant_message|has no message with role "assistant", so there is nothing to learn'
  }
  if (!checked.some(message => message.role === 'assistant' && message.weight !== 0)) {
    return 'no_weighted_message|gives every assistant message weight 0, so there is nothing to learn'
  }
  return checked
}

function checkMessage(value: unknown, number: number): ChatMessage | Problem {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return `invalid_message|message ${number} is not a JSON object`
  }
  const { role, content, weight, ...rest } = value as Record<string, unknown>
  if (
    role === 'tool' ||
    role === 'function' ||
    rest['tool_calls'] !== undefined ||
    rest['function_call'] !== undefined
  ) {
    return `unsupported_tools|message ${number} is a tool call or result; this engine trains on plain messages only`
  }
  if (typeof role !== 'string') return `missing_role|message ${number} has no "role"`
  if (!ROLES.has(role)) return `unknown_role|message ${number} has a role other than system, user and assistant`
  if (typeof content !== 'string') return `invalid_content|message ${number} has a "content" that is not a string`
  if (role === 'assistant' && content === '') return `invalid_content|message ${number} is an empty assistant message`
  if (weight === undefined) return { role: role as ChatMessage['role'], content }
  if (role !== 'assistant') return `invalid_weight|message ${number} has a "weight", which only assistant messages may`
  if (weight !== 0 && weight !== 1) return `invalid_weight|message ${number} has a "weight" other than 0 and 1`
  return { role, content, weight }
}
