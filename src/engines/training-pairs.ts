import type { ChatMessage, ChatTool, ToolCall } from './engine.ts'
import type { GivenCall } from './training-calls.ts'
import type { Problem } from './training-fields.ts'
import type { GivenMessage } from './training-message.ts'

/** Puts calls and results together, by the rules of the chat completions API. */
export function pairCalls(
  messages: readonly GivenMessage[],
  tools: readonly ChatTool[],
  parallel: boolean | undefined,
): readonly ChatMessage[] | Problem {
  const names = new Set(tools.map(({ name }) => name))
  /** Calls without a result yet. */
  let open: ToolCall[] = []
  const paired: ChatMessage[] = []
  for (const [index, { calls, resultOf, ...message }] of messages.entries()) {
    const where = `message ${index + 1}`
    if (resultOf !== undefined) {
      const at = open.findIndex(call => ('id' in resultOf ? call.id === resultOf.id : call.name === resultOf.name))
      const call = open[at]
      if (call === undefined) return noCall(resultOf, where)
      open.splice(at, 1)
      paired.push({ ...message, toolCallId: call.id })
      continue
    }
    if (open.length > 0) {
      return `missing_tool_result|${where} comes before every call of an earlier message has its result: add a tool message for each`
    }
    const problem = calls && unfitCalls(calls, names, parallel, where)
    if (problem !== undefined) return problem
    open = (calls ?? []).map((call, number) => ({ ...call, id: call.id ?? `${index}-${number}` }))
    paired.push(open.length === 0 ? message : { ...message, toolCalls: [...open] })
  }
  return paired
}

function noCall(resultOf: NonNullable<GivenMessage['resultOf']>, where: string): Problem {
  return 'id' in resultOf
    ? `unknown_tool_call_id|${where} answers no call: its "tool_call_id" must be the id of a call in the assistant message before it, once`
    : `unknown_tool_call_id|${where} answers no call: a "function_call" of that name must come before it`
}

/** An example that defines no tools at all may call some, as it teaches to do without definitions. */
function unfitCalls(
  calls: readonly GivenCall[],
  names: ReadonlySet<string>,
  parallel: boolean | undefined,
  where: string,
): Problem | undefined {
  const unknown = names.size === 0 ? -1 : calls.findIndex(({ name }) => !names.has(name))
  if (unknown >= 0) {
    return `unknown_tool|call ${unknown + 1} of ${where} is of a function that the example does not define: add it to "tools"`
  }
  return parallel === false && calls.length > 1
    ? `invalid_parallel_tool_calls|${where} has several calls although "parallel_tool_calls" is false`
    : undefined
}
