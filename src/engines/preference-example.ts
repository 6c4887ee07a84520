import type { ChatMessage, Conversation, FindingCode } from './engine.ts'
import { checkExample } from './training-example.ts'

/** A line of a preference file: the input with its preferred output, and with the other. Only the messages of the outputs are learned. */
export interface Preference extends Conversation {
  /** The input and its other output. */
  readonly nonPreferred: readonly ChatMessage[]
}

type Problem = `${FindingCode}|${string}`

const OUTPUTS = ['preferred_output', 'non_preferred_output'] as const

/** Whether a line means to be a preference, and not a conversation. */
export function meansPreference(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Object.hasOwn(value, 'messages') &&
    ['input', ...OUTPUTS].some(field => Object.hasOwn(value, field))
  )
}

/** One example of the preference format of OpenAI and Azure, or `code|problem` for a person, never with the content. */
export function checkPreference(value: Record<string, unknown>): Preference | Problem {
  const { input } = value
  if (typeof input !== 'object' || input === null || !Array.isArray((input as Record<string, unknown>)['messages']))
    return 'missing_input|has no "input" with a "messages" list'
  const conversations = OUTPUTS.map(name => conversationOf(input as Input, name, value[name]))
  const [preferred, other] = conversations
  if (typeof preferred === 'string') return preferred
  if (typeof other === 'string') return other
  return { messages: [], ...preferred, nonPreferred: other?.messages ?? [] }
}

type Input = Readonly<Record<string, unknown>> & { readonly messages: readonly unknown[] }

function conversationOf(input: Input, name: (typeof OUTPUTS)[number], output: unknown): Conversation | Problem {
  if (!Array.isArray(output) || output.length === 0) return `missing_output|has no "${name}" with messages`
  const stranger = output.some(message => !['assistant', 'tool'].includes(roleOf(message)))
  if (stranger) return `unknown_role|has a message in "${name}" with a role other than assistant and tool`
  if (!output.some(message => roleOf(message) === 'assistant'))
    return `no_assistant_message|has no message with role "assistant" in "${name}"`
  const checked = checkExample({ ...input, messages: [...input.messages, ...(output as unknown[])] })
  if (typeof checked === 'string') {
    const at = checked.indexOf('|')
    return `${checked.slice(0, at) as FindingCode}|with "${name}" after "input": ${checked.slice(at + 1)}`
  }
  const before = input.messages.length
  const learned = checked.messages.map((message, index) =>
    index < before && message.role === 'assistant' ? { ...message, weight: 0 as const } : message,
  )
  if (!learned.some(({ role, weight }) => role === 'assistant' && weight !== 0))
    return `no_weighted_message|gives every assistant message in "${name}" weight 0`
  return { ...checked, messages: learned }
}

function roleOf(message: unknown): string {
  const role: unknown =
    typeof message === 'object' && message !== null ? (message as { role?: unknown }).role : undefined
  return typeof role === 'string' ? role : ''
}
