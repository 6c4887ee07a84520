import type { ChatMessage, ChatTool, Conversation, ToolCall } from './engine.ts'
import { isJsonObject, parseJson, parseObject, writeJson, type Json } from './json-text.ts'

/*
 * The textual form of tools for models whose template knows none (docs/training-data.md). Training writes it, and serving may read it
 * back with `readCalls`. Its marks are those of Hermes and Qwen, which many models have seen.
 */
const [CALL, CALL_END] = ['<tool_call>', '</tool_call>']
const [RESULT, RESULT_END] = ['<tool_response>', '</tool_response>']
/** The beginning of a mark within JSON, where `<` may be written as an escape, so that no text of a user ends a call or a result. */
const MARK = /<(?=\/?tool)/g

const lineOf = (value: Json): string => writeJson(value).replaceAll(MARK, '\\u003c')

/** What a system message says of the tools. */
export function toolsText(tools: readonly ChatTool[], parallel: boolean | undefined): string {
  const lines = tools.map(({ name, description, parameters }) =>
    lineOf({ name, ...(description === undefined ? {} : { description }), ...(parameters && { parameters }) }),
  )
  return [
    'You can call these functions:',
    '<tools>',
    ...lines,
    '</tools>',
    `To call one, write ${CALL}{"name": its name, "arguments": {its arguments}}${CALL_END}`,
    ...(parallel === false ? ['Call at most one function at a time.'] : []),
  ].join('\n')
}

/** An answer with calls, as the model writes it. */
export function callsText(content: string, calls: readonly ToolCall[]): string {
  const lines = calls.map(
    call => `${CALL}\n${lineOf({ name: call.name, arguments: parseObject(call.arguments) })}\n${CALL_END}`,
  )
  return [...(content === '' ? [] : [content]), ...lines].join('\n')
}

const resultText = (name: string, content: string): string => `${RESULT}\n${lineOf({ name, content })}\n${RESULT_END}`

/** What a model wrote, as its text and the calls in it. What is not a whole call stays text. */
export function readCalls(text: string): { readonly content: string; readonly calls: readonly Omit<ToolCall, 'id'>[] } {
  const calls: Omit<ToolCall, 'id'>[] = []
  let [content, from] = ['', 0]
  for (let end = text.indexOf(CALL_END); end >= 0; end = text.indexOf(CALL_END, from)) {
    const part = text.slice(from, end)
    const start = part.lastIndexOf(CALL)
    const call = start < 0 ? undefined : callOf(part.slice(start + CALL.length))
    if (call !== undefined) calls.push(call)
    content += call === undefined ? part + CALL_END : part.slice(0, start)
    from = end + CALL_END.length
  }
  return { content: (content + text.slice(from)).trim(), calls }
}

function callOf(text: string): Omit<ToolCall, 'id'> | undefined {
  try {
    const value = parseJson(text)
    if (!isJsonObject(value)) return undefined
    const { name, arguments: given } = value
    return typeof name === 'string' && isJsonObject(given) ? { name, arguments: writeJson(given) } : undefined
  } catch {
    return undefined
  }
}

/**
 * A conversation with tools as one of plain messages.
 * @param results the role of a tool's result: `tool` where the template writes that role, which no user can then forge
 */
export function plainConversation(conversation: Conversation, results: 'tool' | 'user'): ChatMessage[] {
  const { messages, tools = [], parallelToolCalls } = conversation
  const names = new Map<string, string>()
  const plain: ChatMessage[] = []
  let isResult = false
  for (const { toolCalls, toolCallId, ...message } of messages) {
    for (const { id, name } of toolCalls ?? []) names.set(id, name)
    const wasResult: boolean = isResult
    isResult = message.role === 'tool'
    if (isResult) {
      const text = resultText(names.get(toolCallId ?? '') ?? '', message.content)
      const before = wasResult ? plain.pop() : undefined
      plain.push({ role: results, content: before === undefined ? text : `${before.content}\n${text}` })
    } else if (toolCalls === undefined) plain.push(message)
    else plain.push({ ...message, content: callsText(message.content, toolCalls) })
  }
  return tools.length === 0 ? plain : withSystem(plain, toolsText(tools, parallelToolCalls))
}

function withSystem(messages: readonly ChatMessage[], text: string): ChatMessage[] {
  const [first, ...rest] = messages
  if (first?.role !== 'system' && first?.role !== 'developer') return [{ role: 'system', content: text }, ...messages]
  return [{ ...first, content: first.content === '' ? text : `${first.content}\n\n${text}` }, ...rest]
}
