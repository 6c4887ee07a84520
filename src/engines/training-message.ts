import type { ChatMessage } from './engine.ts'
import { checkToolCalls, type GivenCall } from './training-calls.ts'
import {
  isAbsent,
  isFunctionName,
  isObject,
  NAME_RULE,
  unknownField,
  type Fields,
  type Problem,
} from './training-fields.ts'

/** A message of a file, whose calls and results are still to be put together. */
export interface GivenMessage {
  readonly role: ChatMessage['role']
  readonly content: string
  readonly weight?: 0 | 1
  readonly calls?: readonly GivenCall[]
  /** Of a tool's result: the call's id, or its function's name in the deprecated form. */
  readonly resultOf?: { readonly id: string } | { readonly name: string }
}

const FIELDS: Readonly<Record<string, readonly string[]>> = {
  system: ['role', 'content', 'name'],
  developer: ['role', 'content', 'name'],
  user: ['role', 'content', 'name'],
  assistant: ['role', 'content', 'name', 'weight', 'refusal', 'tool_calls', 'function_call'],
  tool: ['role', 'content', 'name', 'tool_call_id'],
  function: ['role', 'content', 'name'],
}
/** Parts that OpenAI has and this service does not train on. Another type is not named, since it may be anything. */
const OTHER_PARTS = ['image_url', 'image_file', 'input_image', 'input_audio', 'video_url', 'file', 'refusal']

/** @param number of the message, from 1 */
export function checkMessage(value: unknown, number: number): GivenMessage | Problem {
  const where = `message ${number}`
  if (!isObject(value)) return `invalid_message|${where} is not a JSON object`
  const { role, name } = value
  if (typeof role !== 'string') return `missing_role|${where} has no "role"`
  const fields = Object.hasOwn(FIELDS, role) ? FIELDS[role] : undefined
  if (fields === undefined) {
    return `unknown_role|${where} has a role other than ${Object.keys(FIELDS).join(', ')}`
  }
  if (!isAbsent(value['weight']) && role !== 'assistant') {
    return `invalid_weight|${where} has a "weight", which only assistant messages may`
  }
  if (!isAbsent(value['audio'])) return `unsupported_content|${where} has audio: only text can be trained on`
  if (role !== 'assistant' && (!isAbsent(value['tool_calls']) || !isAbsent(value['function_call']))) {
    return `invalid_tool_call|${where} has calls, which only assistant messages may`
  }
  const extra = unknownField(value, fields, `${where} has`)
  if (extra !== undefined) return extra
  if (!isAbsent(name) && typeof name !== 'string') return `invalid_message|${where} has a "name" that is not a string`
  if (role === 'assistant') return checkAnswer(value, where)
  if (role === 'tool' || role === 'function') return checkResult(value, role, where)
  const content = textOf(value['content'], role, where)
  return typeof content === 'string' ? { role: role as 'user', content } : content.problem
}

function checkAnswer(value: Fields, where: string): GivenMessage | Problem {
  const { weight, refusal } = value
  if (!isAbsent(weight) && weight !== 0 && weight !== 1) {
    return `invalid_weight|${where} has a "weight" other than 0 and 1`
  }
  if (!isAbsent(refusal) && typeof refusal !== 'string') {
    return `invalid_content|${where} has a "refusal" that is not a string`
  }
  const calls = checkToolCalls(value, where)
  if (typeof calls === 'string') return calls
  const said = refusal ?? ''
  const mayBeAbsent = calls.length > 0 || said !== ''
  const content = isAbsent(value['content']) && mayBeAbsent ? '' : textOf(value['content'], 'assistant', where)
  if (typeof content !== 'string') return content.problem
  if (content !== '' && said !== '') return `invalid_content|${where} has both "content" and "refusal": leave out one`
  if (content === '' && !mayBeAbsent) return `invalid_content|${where} is an empty assistant message`
  return {
    role: 'assistant',
    content: content + said,
    ...(isAbsent(weight) ? {} : { weight }),
    ...(calls.length === 0 ? {} : { calls }),
  }
}

function checkResult(value: Fields, role: 'tool' | 'function', where: string): GivenMessage | Problem {
  const { content, name, tool_call_id: id } = value
  // The deprecated form allows null for a function that returns nothing.
  const text = role === 'function' && content === null ? '' : textOf(content, role, where)
  if (typeof text !== 'string') return text.problem
  if (role === 'tool') {
    if (typeof id !== 'string' || id === '') {
      return `unknown_tool_call_id|${where} has no "tool_call_id": give the id of the call that it answers`
    }
    return { role, content: text, resultOf: { id } }
  }
  if (!isFunctionName(name)) return `invalid_message|${where} needs the "name" of its function, ${NAME_RULE}`
  return { role: 'tool', content: text, resultOf: { name } }
}

/** A content as text: a string, or a list of text parts. Those of an assistant may be refusals. */
function textOf(content: unknown, role: string, where: string): string | { readonly problem: Problem } {
  const invalid = (what: string): { problem: Problem } => ({ problem: `invalid_content|${where} has ${what}` })
  if (typeof content === 'string') return content
  if (isAbsent(content)) return invalid('no "content"')
  if (!Array.isArray(content)) return invalid('a "content" that is neither a string nor a list of text parts')
  if (content.length === 0) return invalid('a "content" without parts')
  let text = ''
  for (const part of content as readonly unknown[]) {
    const type = isObject(part) ? part['type'] : undefined
    if (!isObject(part) || typeof type !== 'string') return invalid('a content part without a "type"')
    const isRefusal = type === 'refusal' && role === 'assistant'
    if (type !== 'text' && !isRefusal) {
      const which = OTHER_PARTS.includes(type) ? `of type ${type}` : 'that is not of type text'
      return { problem: `unsupported_content|${where} has a content part ${which}: only text can be trained on` }
    }
    const said = part[type]
    if (typeof said !== 'string') return invalid(`a content part of type ${type} whose "${type}" is not a string`)
    text += said
  }
  return text
}
