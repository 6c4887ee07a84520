import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkExample } from './training-example.ts'
import { answer, call, calls, result, tool, tools, user } from './training-messages.test-support.ts'

const SECRET = 'marker-7f3a'

/** What is wrong, the example, the finding's code, and what its words say. */
const REFUSED: readonly [what: string, example: unknown, code: string, words: RegExp][] = [
  ['a list', [], 'not_an_object', /is not a JSON object/],
  [
    'a mistyped field of an example',
    { messages: [user, answer], tool: [] as unknown[], toolz: 1 },
    'unknown_field',
    /messages, tools, parallel_tool_calls, functions: remove it$/,
  ],
  [
    'a mistyped field of a message',
    { messages: [user, { ...answer, wieght: 0 }] },
    'unknown_field',
    /^message 2 has a field besides role, content, name, weight,/,
  ],
  [
    'an image',
    { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: SECRET } }] }, answer] },
    'unsupported_content',
    /^message 1 has a content part of type image_url: only text/,
  ],
  [
    'a part of an unknown type',
    { messages: [{ role: 'user', content: [{ type: SECRET }] }, answer] },
    'unsupported_content',
    /part that is not of type text/,
  ],
  [
    'a refusal of a user',
    { messages: [{ role: 'user', content: [{ type: 'refusal', refusal: SECRET }] }, answer] },
    'unsupported_content',
    /type refusal/,
  ],
  [
    'a part that is a text',
    { messages: [{ role: 'user', content: [SECRET] }, answer] },
    'invalid_content',
    /part without a "type"/,
  ],
  [
    'a part without its text',
    { messages: [{ role: 'user', content: [{ type: 'text' }] }, answer] },
    'invalid_content',
    /whose "text" is not a string/,
  ],
  ['no parts', { messages: [{ role: 'user', content: [] }, answer] }, 'invalid_content', /without parts/],
  ['no content', { messages: [{ role: 'user' }, answer] }, 'invalid_content', /^message 1 has no "content"/],
  [
    'an answer of null',
    { messages: [user, { role: 'assistant', content: null }] },
    'invalid_content',
    /^message 2 has no "content"/,
  ],
  ['an empty answer', { messages: [user, { role: 'assistant', content: '' }] }, 'invalid_content', /empty/],
  ['audio', { messages: [user, { ...answer, audio: { id: SECRET } }] }, 'unsupported_content', /has audio/],
  [
    'a role of another format',
    { messages: [{ role: 'human', content: SECRET }] },
    'unknown_role',
    /system, developer, user, assistant, tool, function$/,
  ],
  [
    'a role that objects have',
    { messages: [{ role: 'constructor', content: SECRET }] },
    'unknown_role',
    /role other than/,
  ],
  ['a name that is no text', { messages: [{ ...user, name: 7 }, answer] }, 'invalid_message', /"name"/],
  [
    'a weight of a result',
    { tools, messages: [user, calls(call('1')), { ...result('1'), weight: 0 }] },
    'invalid_weight',
    /only assistant/,
  ],
  ['a weight between', { messages: [user, { ...answer, weight: 0.5 }] }, 'invalid_weight', /other than 0 and 1/],
  [
    'weights of 0 alone',
    { tools, messages: [user, { ...calls(call('1')), weight: 0 }] },
    'no_weighted_message',
    /nothing to learn/,
  ],
  [
    'calls of a user',
    { tools, messages: [{ ...user, tool_calls: [call('1')] }, answer] },
    'invalid_tool_call',
    /^message 1 has calls, which only assistant/,
  ],
  ['tools that are an object', { tools: {}, messages: [user, answer] }, 'invalid_tools', /"tools" that is not a list/],
  ['tools and functions', { tools, functions: [{ name: 'f' }], messages: [user, answer] }, 'invalid_tools', /both/],
  [
    'too many tools',
    { tools: Array.from({ length: 129 }, (_, n) => tool(`f${n}`)), messages: [user, answer] },
    'invalid_tools',
    /more than 128 tools/,
  ],
  [
    'a tool of another type',
    { tools: [{ type: 'code_interpreter' }], messages: [user, answer] },
    'unsupported_tools',
    /^tools\[0\] has a type other than function/,
  ],
  [
    'a tool without a function',
    { tools: [{ type: 'function' }], messages: [user, answer] },
    'invalid_tools',
    /^tools\[0\]\.function is not/,
  ],
  [
    'a tool whose name has blanks',
    { tools: [tool(`${SECRET} x`)], messages: [user, answer] },
    'invalid_tools',
    /"name" of 1 to 64 letters/,
  ],
  [
    'a tool whose name is too long',
    { tools: [tool('x'.repeat(65))], messages: [user, answer] },
    'invalid_tools',
    /1 to 64/,
  ],
  [
    'a description that is no text',
    { tools: [tool('f', { description: 7 })], messages: [user, answer] },
    'invalid_tools',
    /"description"/,
  ],
  [
    'parameters that are a list',
    { tools: [tool('f', { parameters: [] })], messages: [user, answer] },
    'invalid_tools',
    /JSON schema/,
  ],
  ['a strict of yes', { tools: [tool('f', { strict: 'yes' })], messages: [user, answer] }, 'invalid_tools', /"strict"/],
  [
    'a field that tools do not have',
    { tools: [tool('f', { returns: SECRET })], messages: [user, answer] },
    'unknown_field',
    /^tools\[0\]\.function has a field/,
  ],
  [
    'two tools of one name',
    { tools: [tool('f'), tool('f')], messages: [user, answer] },
    'duplicate_tool',
    /^tools\[1\] has the name/,
  ],
  [
    'a parallel_tool_calls of yes',
    { tools, parallel_tool_calls: 'yes', messages: [user, answer] },
    'invalid_parallel_tool_calls',
    /neither true nor false/,
  ],
  [
    'several calls that may not be',
    { tools, parallel_tool_calls: false, messages: [user, calls(call('1'), call('2'))] },
    'invalid_parallel_tool_calls',
    /^message 2 has several calls/,
  ],
  [
    'calls that are an object',
    { tools, messages: [user, { role: 'assistant', tool_calls: {} }] },
    'invalid_tool_call',
    /not a list/,
  ],
  [
    'a call that is a text',
    { tools, messages: [user, calls(SECRET)] },
    'invalid_tool_call',
    /^call 1 of message 2 is not/,
  ],
  [
    'too many calls',
    { tools, messages: [user, calls(...Array.from({ length: 129 }, (_, n) => call(`${n}`)))] },
    'invalid_tool_call',
    /more than 128 calls/,
  ],
  [
    'a call of another type',
    { tools, messages: [user, calls({ ...call('1'), type: 'custom' })] },
    'unsupported_tools',
    /^call 1 of message 2 has a type/,
  ],
  [
    'a call without a name',
    { tools, messages: [user, calls({ id: '1', type: 'function', function: { arguments: '{}' } })] },
    'invalid_tool_call',
    /"name"/,
  ],
  [
    'a call without a function',
    { tools, messages: [user, calls({ id: '1', type: 'function' })] },
    'invalid_tool_call',
    /no "function"/,
  ],
  ['an empty id', { tools, messages: [user, calls(call(''))] }, 'invalid_tool_call', /"id"/],
  [
    'both forms of a call',
    { tools, messages: [user, { ...calls(call('1')), function_call: { name: 'f', arguments: '{}' } }] },
    'invalid_tool_call',
    /both/,
  ],
  [
    'two calls of one id',
    { tools, messages: [user, calls(call('1'), call('1'))] },
    'duplicate_tool_call_id',
    /^call 2 of message 2/,
  ],
  [
    'arguments that are an object',
    { tools, messages: [user, calls(call('1', 'f', { city: SECRET }))] },
    'invalid_arguments',
    /not a string: write the JSON object as a string$/,
  ],
  [
    'no arguments',
    { tools, messages: [user, calls({ id: '1', function: { name: 'f' } })] },
    'invalid_arguments',
    /not a string/,
  ],
  [
    'arguments that are not JSON',
    { tools, messages: [user, calls(call('1', 'f', `{city: ${SECRET}}`))] },
    'invalid_arguments',
    /not a JSON object/,
  ],
  [
    'arguments that are a list',
    { tools, messages: [user, calls(call('1', 'f', '[]'))] },
    'invalid_arguments',
    /not a JSON object/,
  ],
  ['empty arguments', { tools, messages: [user, calls(call('1', 'f', ''))] }, 'invalid_arguments', /such as "\{\}"$/],
  [
    'arguments nested deeply',
    { tools, messages: [user, calls(call('1', 'f', `{"a":${'['.repeat(64)}${']'.repeat(64)}}`))] },
    'too_deeply_nested',
    /64 levels/,
  ],
  [
    'arguments of many values',
    { tools, messages: [user, calls(call('1', 'f', `{"a":[${'1,'.repeat(20_000)}1]}`))] },
    'too_many_values',
    /20000 JSON values/,
  ],
  [
    'a call of an unknown tool',
    { tools, messages: [user, calls(call('1'), call('2', SECRET))] },
    'unknown_tool',
    /^call 2 of message 2 is of a function that the example does not define/,
  ],
  [
    'a result without its id',
    { tools, messages: [user, calls(call('1')), { role: 'tool', content: SECRET }] },
    'unknown_tool_call_id',
    /^message 3 has no "tool_call_id"/,
  ],
  [
    'a result of no call',
    { messages: [user, result(SECRET), answer] },
    'unknown_tool_call_id',
    /^message 2 answers no call/,
  ],
  [
    'a second result of a call',
    { tools, messages: [user, calls(call('1')), result('1'), result('1')] },
    'unknown_tool_call_id',
    /^message 4 .* once$/,
  ],
  [
    'a function result of no call',
    { messages: [user, { role: 'function', name: 'f', content: SECRET }, answer] },
    'unknown_tool_call_id',
    /"function_call" of that name/,
  ],
  [
    'a result of null',
    { tools, messages: [user, calls(call('1')), result('1', null)] },
    'invalid_content',
    /^message 3 has no "content"/,
  ],
  [
    'a result with an image',
    { tools, messages: [user, calls(call('1')), result('1', [{ type: 'image_url' }])] },
    'unsupported_content',
    /^message 3/,
  ],
  [
    'an answer before the result',
    { tools, messages: [user, calls(call('1'), call('2')), result('1'), answer] },
    'missing_tool_result',
    /^message 4 comes before every call/,
  ],
  [
    'calls upon calls',
    { tools, messages: [user, calls(call('1')), calls(call('2'))] },
    'missing_tool_result',
    /^message 3/,
  ],
]

for (const [what, example, code, words] of REFUSED)
  test(`${what}: refused as ${code}, in words that say where, and never with the content`, () => {
    const refused = checkExample(example)
    assert.ok(typeof refused === 'string', 'it was taken')
    const [given, problem] = refused.split('|')
    assert.equal(given, code)
    assert.match(problem ?? '', words)
    assert.doesNotMatch(refused, new RegExp(SECRET))
    assert.equal(refused.split('|').length, 2)
  })
