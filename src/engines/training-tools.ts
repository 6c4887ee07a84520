import type { ChatTool } from './engine.ts'
import type { Json } from './json-text.ts'
import {
  isAbsent,
  isFunctionName,
  isObject,
  NAME_RULE,
  unknownField,
  type Fields,
  type Problem,
} from './training-fields.ts'

/** As OpenAI's. */
const MOST_TOOLS = 128

/** The functions of an example's `tools`, or of the deprecated `functions`. */
export function checkTools(example: Fields): readonly ChatTool[] | Problem {
  const given = ['tools', 'functions'].filter(field => !isAbsent(example[field]))
  const field = given[0]
  if (field === undefined) return []
  if (given.length > 1) return 'invalid_tools|has both "tools" and the deprecated "functions": write all into "tools"'
  const list = example[field]
  if (!Array.isArray(list)) return `invalid_tools|has "${field}" that is not a list`
  if (list.length > MOST_TOOLS) return `invalid_tools|has more than ${MOST_TOOLS} ${field}`
  const tools = new Map<string, ChatTool>()
  for (const [index, entry] of list.entries()) {
    const where = `${field}[${index}]`
    const tool = field === 'tools' ? checkTool(entry, where) : checkFunction(entry, where)
    if (typeof tool === 'string') return tool
    if (tools.has(tool.name)) return `duplicate_tool|${where} has the name of an earlier one: give each its own name`
    tools.set(tool.name, tool)
  }
  return [...tools.values()]
}

function checkTool(value: unknown, where: string): ChatTool | Problem {
  if (!isObject(value)) return `invalid_tools|${where} is not a JSON object`
  if (value['type'] !== 'function') return `unsupported_tools|${where} has a type other than function: leave it out`
  return (
    unknownField(value, ['type', 'function'], `${where} has`) ?? checkFunction(value['function'], `${where}.function`)
  )
}

function checkFunction(value: unknown, where: string): ChatTool | Problem {
  if (!isObject(value)) return `invalid_tools|${where} is not a JSON object`
  const extra = unknownField(value, ['name', 'description', 'parameters', 'strict'], `${where} has`)
  if (extra !== undefined) return extra
  const { name, description, parameters, strict } = value
  if (!isFunctionName(name)) return `invalid_tools|${where} needs a "name" ${NAME_RULE}`
  if (!isAbsent(description) && typeof description !== 'string') {
    return `invalid_tools|${where} has a "description" that is not a string`
  }
  if (!isAbsent(parameters) && !isObject(parameters)) {
    return `invalid_tools|${where} has "parameters" that are not a JSON schema, which is an object`
  }
  if (!isAbsent(strict) && typeof strict !== 'boolean') {
    return `invalid_tools|${where} has a "strict" that is neither true nor false`
  }
  return {
    name,
    ...(isAbsent(description) ? {} : { description }),
    ...(isAbsent(parameters) ? {} : { parameters: parameters as { readonly [key: string]: Json } }),
  }
}
