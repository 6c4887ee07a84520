import type { ChatMessage, ChatTool, Conversation, ToolCall } from './engine.ts'
import { isJsonObject, parseObject, RawNumber, type Json } from './json-text.ts'
import type { StandIns } from './stand-ins.ts'

/** How a template takes a conversation. */
export interface TemplateForm {
  /** `object`: it writes arguments itself; `text`: it wants them as JSON; otherwise it knows no tools. */
  readonly arguments?: 'object' | 'text' | undefined
  readonly knowsDeveloper: boolean
}

/** A message as templates take it. */
export interface TemplateMessage {
  readonly role: string
  readonly content: string
  readonly [field: string]: unknown
}

export interface TemplateInput {
  readonly messages: readonly TemplateMessage[]
  readonly tools?: readonly object[]
  readonly parallel_tool_calls?: boolean
}

/** Words of a JSON schema that templates look for. Every other word of a definition gets a stand-in. */
const SCHEMA_WORDS = new Set(
  (
    'type properties required items description enum default anyOf oneOf allOf $ref $defs additionalProperties nullable title ' +
    'object string number integer boolean array null'
  ).split(' '),
)

/** The variables that a template gets, with stand-ins for all texts. Ids of calls are their numbers, so that no text is in them. */
export function templateInput(conversation: Conversation, form: TemplateForm, standIns: StandIns): TemplateInput {
  const { messages, tools = [], parallelToolCalls } = conversation
  const calls = new Map<string, { readonly id: string; readonly name: string }>()
  let count = 0
  const named = messages.map((message, index): TemplateMessage => {
    const { role, content, toolCalls, toolCallId } = message
    const shown = { role: roleOf(message, form), content: standIns.content(content, index) }
    if (role === 'tool') {
      const call = calls.get(toolCallId ?? '')
      return { ...shown, tool_call_id: call?.id ?? '', name: standIns.hint(call?.name ?? '', index) }
    }
    if (toolCalls === undefined) return shown
    const tool_calls = toolCalls.map(call => {
      count += 1
      // Mistral's templates take ids of nine letters and digits.
      const id = String(count).padStart(9, '0')
      calls.set(call.id, { id, name: call.name })
      return { id, type: 'function', function: functionOf(call, index, form, standIns) }
    })
    return { ...shown, tool_calls }
  })
  if (tools.length === 0) return { messages: named }
  return {
    messages: named,
    tools: tools.map(tool => definitionOf(tool, standIns)),
    ...(parallelToolCalls === undefined ? {} : { parallel_tool_calls: parallelToolCalls }),
  }
}

function roleOf({ role }: ChatMessage, { knowsDeveloper }: TemplateForm): string {
  return role === 'developer' && !knowsDeveloper ? 'system' : role
}

function functionOf(call: ToolCall, message: number, form: TemplateForm, standIns: StandIns): object {
  const name = standIns.value(call.name, message)
  if (form.arguments === 'text') return { name, arguments: standIns.value(call.arguments, message) }
  return { name, arguments: withStandIns(parseObject(call.arguments), standIns, new Set(), message) }
}

function definitionOf({ name, description, parameters }: ChatTool, standIns: StandIns): object {
  return {
    type: 'function',
    function: {
      name: standIns.value(name),
      ...(description === undefined ? {} : { description: standIns.value(description) }),
      ...(parameters && { parameters: withStandIns(parameters, standIns, SCHEMA_WORDS) }),
    },
  }
}

/** @param kept words that stay as they are */
function withStandIns(value: Json, standIns: StandIns, kept: ReadonlySet<string>, message?: number): unknown {
  const text = (given: string): string => (kept.has(given) ? given : standIns.value(given, message))
  if (typeof value === 'string') return text(value)
  if (value instanceof RawNumber) return standIns.number(value.digits, message)
  if (Array.isArray(value)) return value.map(item => withStandIns(item as Json, standIns, kept, message))
  if (!isJsonObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [text(key), withStandIns(item, standIns, kept, message)]),
  )
}
