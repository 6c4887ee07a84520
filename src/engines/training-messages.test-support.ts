/** Parts of training examples, as lines of a file have them. */

export const user = { role: 'user', content: 'q' }
export const answer = { role: 'assistant', content: 'a' }
export const tool = (name: string, more: object = {}) => ({ type: 'function', function: { name, ...more } })
export const tools = [
  tool('f', { description: 'D', parameters: { type: 'object', properties: {} }, strict: true }),
  tool('g'),
]
export const call = (id: string | undefined, name = 'f', args: unknown = '{"city": "P"}') => ({
  ...(id === undefined ? {} : { id }),
  type: 'function',
  function: { name, arguments: args },
})
export const calls = (...list: unknown[]) => ({ role: 'assistant', content: null, tool_calls: list })
export const result = (id: string, content: unknown = 'r') => ({ role: 'tool', tool_call_id: id, content })
