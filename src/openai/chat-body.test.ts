import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AzureError } from '../http/errors.ts'
import type { Call } from '../http/route.ts'
import { chatBody } from './chat-body.ts'
import { inferenceBody } from './field-error.ts'

const user = { role: 'user', content: 'Hi' }
const read = (body: unknown) => inferenceBody({ json: async () => body } as unknown as Call, chatBody)
const withMessage = (message: unknown) => ({ messages: [message] })

/** OpenAI's answer to the same body, where it is known: code, param and message. */
const REFUSED: readonly [body: unknown, code: string, param: string | undefined, message: RegExp][] = [
  [[], 'invalid_type', undefined, /must be a JSON object/],
  [undefined, 'invalid_type', undefined, /must be a JSON object/],
  [{}, 'missing_required_parameter', 'messages', /^Missing required parameter: 'messages'\.$/],
  [{ messages: 'Hi' }, 'invalid_type', 'messages', /^Invalid type for 'messages': expected an array, but got a string/],
  [
    { messages: [] },
    'empty_array',
    'messages',
    /^Invalid 'messages': empty array\. Expected an array with minimum length 1/,
  ],
  [
    { messages: Array.from({ length: 513 }, () => user) },
    'array_above_max_length',
    'messages',
    /maximum length 512.* length 513 instead/,
  ],
  [withMessage(null), 'invalid_type', 'messages[0]', /expected an object, but got null/],
  [withMessage({ content: 'Hi' }), 'missing_required_parameter', 'messages[0].role', /messages\[0\]\.role/],
  [
    withMessage({ role: 'robot', content: '' }),
    'invalid_value',
    'messages[0].role',
    /^Invalid value: 'robot'\. Supported values are: 'system', /,
  ],
  [withMessage({ role: 'tool', content: '' }), 'invalid_value', 'messages[0].role', /'tool'/],
  [withMessage({ role: 'user' }), 'missing_required_parameter', 'messages[0].content', /content/],
  [
    withMessage({ role: 'user', content: 7 }),
    'invalid_type',
    'messages[0].content',
    /one of a string or an array, but got an integer/,
  ],
  [withMessage({ role: 'user', content: [] }), 'empty_array', 'messages[0].content', /empty array/],
  [
    withMessage({ role: 'user', content: [{ type: 'image_url' }] }),
    'invalid_value',
    'messages[0].content[0].type',
    /'image_url'.*'text'/,
  ],
  [
    withMessage({ role: 'user', content: 'x'.repeat(1024 * 1024 + 1) }),
    'string_above_max_length',
    'messages[0].content',
    /1048577/,
  ],
  [
    withMessage({ role: 'assistant', content: '', tool_calls: [{}] }),
    'unsupported_parameter',
    'messages[0].tool_calls',
    /Tool calls/,
  ],
  [{ messages: [user], model: 7 }, 'invalid_type', 'model', /expected a string, but got an integer/],
  [
    { messages: [user], temperature: 2.1 },
    'decimal_above_max_value',
    'temperature',
    /^Invalid 'temperature': decimal above maximum value\. Expected a value <= 2, but got 2\.1 instead\.$/,
  ],
  [{ messages: [user], temperature: -1 }, 'decimal_below_min_value', 'temperature', />= 0, but got -1/],
  [{ messages: [user], temperature: 'hot' }, 'invalid_type', 'temperature', /expected a decimal, but got a string/],
  [{ messages: [user], top_p: 1.5 }, 'decimal_above_max_value', 'top_p', /<= 1/],
  [{ messages: [user], n: 0 }, 'integer_below_min_value', 'n', />= 1, but got 0/],
  [
    { messages: [user], n: 129 },
    'integer_above_max_value',
    'n',
    /^Invalid 'n': integer above maximum value\. Expected a value <= 128, but got 129 instead\.$/,
  ],
  [{ messages: [user], n: 2 }, 'unsupported_value', 'n', /only the default \(1\)/],
  [{ messages: [user], max_tokens: 0 }, 'integer_below_min_value', 'max_tokens', />= 1/],
  [
    { messages: [user], max_tokens: '5' },
    'invalid_type',
    'max_tokens',
    /^Invalid type for 'max_tokens': expected an integer, but got a string instead\.$/,
  ],
  [{ messages: [user], max_tokens: 1.5 }, 'invalid_type', 'max_tokens', /expected an integer, but got a decimal/],
  [
    { messages: [user], max_tokens: 5, max_completion_tokens: 5 },
    'invalid_parameter_combination',
    'max_tokens',
    /at the same time/,
  ],
  [{ messages: [user], seed: 1.5 }, 'invalid_type', 'seed', /expected an integer/],
  [{ messages: [user], stream: 'yes' }, 'invalid_type', 'stream', /expected a boolean/],
  [
    { messages: [user], stream_options: { include_usage: true } },
    'invalid_value',
    'stream_options',
    /only allowed when 'stream' is enabled/,
  ],
  [{ messages: [user], stop: ['a', 'b', 'c', 'd', 'e'] }, 'array_above_max_length', 'stop', /maximum length 4/],
  [{ messages: [user], stop: [''] }, 'empty_string', 'stop[0]', /empty string/],
  [{ messages: [user], stop: 7 }, 'invalid_type', 'stop', /one of a string or an array/],
  [{ messages: [user], presence_penalty: 2.5 }, 'decimal_above_max_value', 'presence_penalty', /<= 2/],
  [{ messages: [user], frequency_penalty: 1 }, 'unsupported_value', 'frequency_penalty', /only the default \(0\)/],
  [
    { messages: [user], tools: [{ type: 'function', function: { name: 'f' } }] },
    'unsupported_parameter',
    'tools',
    /'tools' is not supported/,
  ],
  [{ messages: [user], functions: [{ name: 'f' }] }, 'unsupported_parameter', 'functions', /'functions'/],
  [{ messages: [user], tool_choice: 'required' }, 'unsupported_parameter', 'tool_choice', /'tool_choice'/],
  [
    { messages: [user], response_format: { type: 'json_object' } },
    'unsupported_parameter',
    'response_format',
    /'response_format'/,
  ],
  [{ messages: [user], logprobs: true }, 'unsupported_parameter', 'logprobs', /'logprobs'/],
  [{ messages: [user], logit_bias: { 50256: -100 } }, 'unsupported_parameter', 'logit_bias', /'logit_bias'/],
  [{ messages: [user], store: true }, 'unsupported_parameter', 'store', /'store'/],
  [{ messages: [user], temprature: 1 }, 'unknown_parameter', 'temprature', /^Unknown parameter: 'temprature'\.$/],
]

test('a chat request that does not fit is refused with the code, param and message of OpenAI', async () => {
  for (const [body, code, param, message] of REFUSED) {
    await assert.rejects(read(body), error => {
      assert.ok(error instanceof AzureError)
      assert.deepEqual([error.status, error.code, error.options.target], [400, code, param], error.message)
      assert.match(error.message, message)
      assert.ok(error.message.length < 300)
      return true
    })
  }
})

test('neutral values of unsupported fields are accepted, so that clients that always send them work · R03', async () => {
  const neutral = {
    model: 'd',
    messages: [user, { role: 'assistant', content: 'Hello', refusal: null, name: 'a', tool_calls: null }],
    n: 1,
    presence_penalty: 0,
    frequency_penalty: 0,
    logit_bias: {},
    logprobs: false,
    top_logprobs: null,
    tools: [],
    tool_choice: 'none',
    parallel_tool_calls: true,
    response_format: { type: 'text' },
    modalities: ['text'],
    service_tier: 'auto',
    store: false,
    metadata: { a: 'b' },
    user: 'me',
    safety_identifier: 'me',
    prompt_cache_key: 'x',
    stop: null,
    stream: null,
    stream_options: null,
    temperature: null,
    max_tokens: null,
    max_completion_tokens: 5,
    seed: -1,
  }
  const { model, stream, request } = await read(neutral)
  assert.deepEqual(
    { model, stream, request },
    {
      model: 'd',
      stream: false,
      request: {
        messages: [
          { role: 'user', content: 'Hi' },
          { role: 'assistant', content: 'Hello' },
        ],
        maxTokens: 5,
        seed: 2 ** 32 - 1,
      },
    },
  )
})

test('parts of text become one text, and a developer stays one for the layout', async () => {
  const content = ['one, ', 'two'].map(text => ({ type: 'text', text }))
  const { request } = await read({ messages: [{ role: 'developer', content }], stop: 'x' })
  assert.deepEqual(request, { messages: [{ role: 'developer', content: 'one, two' }], stop: ['x'] })
})
