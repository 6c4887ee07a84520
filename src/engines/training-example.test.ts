import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkExample } from './training-example.ts'
import { answer, call, calls, result, tools, user } from './training-messages.test-support.ts'

const parts = (...texts: string[]) => texts.map(text => ({ type: 'text', text }))
const check = (...messages: unknown[]) => checkExample({ messages })
const withTools = (...messages: unknown[]) => checkExample({ tools, messages })

test('messages of every role are taken, with calls and their results put together', () => {
  assert.deepEqual(
    checkExample({
      tools,
      parallel_tool_calls: true,
      messages: [
        { role: 'system', content: 's' },
        { role: 'developer', content: parts('d', 'e') },
        { role: 'user', content: parts('q'), name: 'anna' },
        calls(call('1'), call('2', 'g', '{}')),
        result('2', parts('r', '2')),
        result('1'),
        { ...answer, weight: 0 },
        user,
        // Ids may come again once their calls are answered.
        { ...calls(call('1')), content: 'c', weight: 1 },
      ],
    }),
    {
      tools: [{ name: 'f', description: 'D', parameters: { type: 'object', properties: {} } }, { name: 'g' }],
      parallelToolCalls: true,
      messages: [
        { role: 'system', content: 's' },
        { role: 'developer', content: 'de' },
        { role: 'user', content: 'q' },
        {
          role: 'assistant',
          content: '',
          toolCalls: [
            { id: '1', name: 'f', arguments: '{"city": "P"}' },
            { id: '2', name: 'g', arguments: '{}' },
          ],
        },
        { role: 'tool', content: 'r2', toolCallId: '2' },
        { role: 'tool', content: 'r', toolCallId: '1' },
        { role: 'assistant', content: 'a', weight: 0 },
        { role: 'user', content: 'q' },
        {
          role: 'assistant',
          content: 'c',
          weight: 1,
          toolCalls: [{ id: '1', name: 'f', arguments: '{"city": "P"}' }],
        },
      ],
    },
  )
})

test('the deprecated functions, function_call and role function are the same as tools', () => {
  const functionCall = { name: 'f', arguments: '{}' }
  const example = checkExample({
    functions: [{ name: 'f', parameters: {} }],
    messages: [
      user,
      { role: 'assistant', content: null, function_call: functionCall },
      { role: 'function', name: 'f', content: null },
      answer,
    ],
  })
  assert.ok(typeof example === 'object')
  assert.deepEqual(example.tools, [{ name: 'f', parameters: {} }])
  const [, asked, told] = example.messages
  assert.deepEqual(
    asked?.toolCalls?.map(({ name, arguments: given }) => [name, given]),
    [['f', '{}']],
  )
  assert.deepEqual(told, { role: 'tool', content: '', toolCallId: asked?.toolCalls?.[0]?.id })
})

test('null, an empty list and what official clients add say nothing', () => {
  const empty = { refusal: null, function_call: null, tool_calls: null, weight: null, audio: null, annotations: [] }
  assert.deepEqual(checkExample({ messages: [user, { ...answer, ...empty }], tools: [], functions: null }), {
    messages: [
      { role: 'user', content: 'q' },
      { role: 'assistant', content: 'a' },
    ],
  })
  assert.ok(typeof check(user, { ...answer, tool_calls: [] }) === 'object')
})

test('a refusal is what the assistant says', () => {
  const said = (message: object): unknown => {
    const example = check(user, { role: 'assistant', ...message })
    return typeof example === 'string' ? example : example.messages[1]?.content
  }
  assert.equal(said({ content: null, refusal: 'No.' }), 'No.')
  assert.equal(said({ refusal: 'No.' }), 'No.')
  assert.equal(said({ content: [{ type: 'refusal', refusal: 'No.' }] }), 'No.')
  assert.match(String(said({ content: 'Yes.', refusal: 'No.' })), /^invalid_content\|message 2 has both/)
})

test('an example without definitions, and a call without an id, are taken where nothing needs them', () => {
  for (const example of [check(user, calls(call('1', 'any'))), withTools(user, calls(call(undefined)))]) {
    assert.ok(typeof example === 'object', JSON.stringify(example))
  }
})
