import type { ToolCall } from './engine.ts'
import { shapeOf } from './json-text.ts'
import {
  isAbsent,
  isFunctionName,
  isObject,
  NAME_RULE,
  unknownField,
  type Fields,
  type Problem,
} from './training-fields.ts'

/** A call whose id may be absent: where no result follows, none is needed. */
export type GivenCall = Omit<ToolCall, 'id'> & { readonly id?: string }

/** As OpenAI's. */
const MOST_CALLS = 128
/** Of one call's arguments: levels of nesting, commas and colons. */
const ARGUMENTS = { depth: 64, values: 20_000 } as const

/** The `tool_calls` of an assistant message, or its deprecated `function_call`. */
export function checkToolCalls(message: Fields, where: string): readonly GivenCall[] | Problem {
  const { tool_calls: list, function_call: single } = message
  if (!isAbsent(single)) {
    if (!isAbsent(list)) return `invalid_tool_call|${where} has both "tool_calls" and the deprecated "function_call"`
    const call = checkFunction(single, `"function_call" of ${where}`)
    return typeof call === 'string' ? call : [call]
  }
  if (isAbsent(list)) return []
  if (!Array.isArray(list)) return `invalid_tool_call|${where} has "tool_calls" that are not a list`
  if (list.length > MOST_CALLS) return `invalid_tool_call|${where} has more than ${MOST_CALLS} calls`
  const calls: GivenCall[] = []
  const ids = new Set<string>()
  for (const [index, value] of list.entries()) {
    const call = checkCall(value, `call ${index + 1} of ${where}`)
    if (typeof call === 'string') return call
    if (call.id !== undefined && ids.has(call.id)) {
      return `duplicate_tool_call_id|call ${index + 1} of ${where} has the id of an earlier one: give each its own`
    }
    if (call.id !== undefined) ids.add(call.id)
    calls.push(call)
  }
  return calls
}

function checkCall(value: unknown, which: string): GivenCall | Problem {
  if (!isObject(value)) return `invalid_tool_call|${which} is not a JSON object`
  const { id, type } = value
  if (!isAbsent(type) && type !== 'function') {
    return `unsupported_tools|${which} has a type other than function: leave it out`
  }
  const extra = unknownField(value, ['id', 'type', 'function', 'index'], `${which} has`)
  if (extra !== undefined) return extra
  if (!isAbsent(id) && (typeof id !== 'string' || id === '')) {
    return `invalid_tool_call|${which} has an "id" that is not a text`
  }
  const call = checkFunction(value['function'], which)
  return typeof call === 'string' || isAbsent(id) ? call : { ...call, id }
}

function checkFunction(value: unknown, which: string): GivenCall | Problem {
  if (!isObject(value)) return `invalid_tool_call|${which} has no "function" that is a JSON object`
  const { name, arguments: given } = value
  const extra = unknownField(value, ['name', 'arguments'], `the function of ${which} has`)
  if (extra !== undefined) return extra
  if (!isFunctionName(name)) return `invalid_tool_call|${which} needs a function's "name" ${NAME_RULE}`
  if (typeof given !== 'string') {
    return `invalid_arguments|${which} has "arguments" that are not a string: write the JSON object as a string`
  }
  const { depth, values } = shapeOf(given, ARGUMENTS.depth)
  if (depth > ARGUMENTS.depth) return `too_deeply_nested|${which} nests arguments deeper than ${ARGUMENTS.depth} levels`
  if (values > ARGUMENTS.values)
    return `too_many_values|${which} has arguments with more than ${ARGUMENTS.values} JSON values`
  if (!isObject(parsed(given))) {
    return `invalid_arguments|${which} has "arguments" that are not a JSON object, such as "{}"`
  }
  return { name, arguments: given }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
