import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { BadRequestError } from 'openai'
import { Azure } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after })
const account = await (await Azure.in(cloud.endpoints)).account('tools')
const { files, fineTuning } = account.openai

const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
const weather = { name: 'weather', description: 'The weather of a city', parameters }
const tools = [{ type: 'function', function: weather }]
const question = { role: 'user', content: [{ type: 'text', text: 'Weather in Rome?' }] }
const call = (name = 'weather', args: unknown = '{"city":"Rome"}', id = 'call_1') => ({
  id,
  type: 'function',
  function: { name, arguments: args },
})
const calls = (...list: object[]) => ({ role: 'assistant', content: null, tool_calls: list })
const result = { role: 'tool', tool_call_id: 'call_1', content: 'Sun' }
const answer = { role: 'assistant', content: 'The sun shines.', refusal: null, weight: 1 }
const example = {
  tools,
  parallel_tool_calls: false,
  messages: [{ role: 'developer', content: 'Be short.' }, question, calls(call()), result, answer],
}
/** The same in the deprecated form. */
const functions = {
  functions: [weather],
  messages: [
    { role: 'user', content: 'Weather in Rome?' },
    { role: 'assistant', content: null, function_call: { name: 'weather', arguments: '{"city":"Rome"}' } },
    { role: 'function', name: 'weather', content: 'Sun' },
    { ...answer, weight: 0 },
  ],
}

const textOf = (examples: readonly object[]): string => examples.map(one => JSON.stringify(one)).join('\n')
async function upload(examples: readonly object[]): Promise<string> {
  const file = new File([textOf(examples)], 'tools.jsonl')
  return (await files.create({ file, purpose: 'fine-tune' })).id
}
const twelve = Array.from({ length: 12 }, (_, n) => (n % 2 === 0 ? example : functions))

test('a file with tools, calls and results trains, with a validation file of the same format', async () => {
  const train = await upload(twelve)
  const valid = await upload([example, functions])
  assert.equal((await account.download(train)).toString(), textOf(twelve))
  const more = { validation_file: valid, hyperparameters: { n_epochs: 2, batch_size: 6 } }
  const id = await account.train(train, more)
  const job = await account.jobIs(id, ['succeeded'])
  const events = (await fineTuning.jobs.listEvents(id, { limit: 100 })).data
  assert.ok(events.some(({ message }) => /^Training on 12 examples with [\d,]+ tokens, 4 steps\.$/.test(message)))
  // Nothing was cut or left out. A busy machine may have had to try again.
  assert.ok(!events.some(({ message }) => /examples of the (training|validation) file/.test(message)))
  const results = (await account.download(job.result_files[0] ?? '')).toString()
  assert.match(results, /^step,.*valid_loss/)
  assert.match(results.trim().split('\n').at(-1) ?? '', /^4(,\d+\.\d+){6}$/)
})

/** What is wrong on line 3, the detail's code, and its words. */
const MISTAKES: readonly [example: object, code: string, words: RegExp][] = [
  [{ ...example, messages: [question, calls(call('wether'))] }, 'unknown_tool', /call 1 of message 2/],
  [{ ...example, messages: [question, calls(call('weather', '{city}'))] }, 'invalid_arguments', /not a JSON object/],
  [{ ...example, messages: [question, calls(call('weather', {}))] }, 'invalid_arguments', /not a string/],
  [{ ...example, messages: [question, result, answer] }, 'unknown_tool_call_id', /message 2 answers no call/],
  [{ ...example, messages: [question, calls(call()), answer] }, 'missing_tool_result', /message 3/],
  [{ tools, messages: [question, calls(call(), call())] }, 'duplicate_tool_call_id', /call 2 of message 2/],
  [
    { ...example, messages: [question, calls(call(), call('weather', '{}', 'b'))] },
    'invalid_parallel_tool_calls',
    /several calls/,
  ],
  [{ ...example, tools: [...tools, ...tools] }, 'duplicate_tool', /tools\[1\]/],
  [{ ...example, tools: [{ type: 'file_search' }] }, 'unsupported_tools', /tools\[0\]/],
  [{ ...example, tools: [{ type: 'function' }] }, 'invalid_tools', /tools\[0\]/],
  [
    { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'secret' } }] }, answer] },
    'unsupported_content',
    /message 1 has a content part of type image_url/,
  ],
  [{ messages: [question, { ...answer, weigth: 0 }] }, 'unknown_field', /message 2/],
  [{ messages: [question, { ...answer, weight: 2 }] }, 'invalid_weight', /message 2/],
]

for (const [mistake, code, words] of MISTAKES)
  test(`a file with a mistake is refused when it comes in, as ${code} of its line: ${words.source}`, async () => {
    const refused = await upload([...twelve.slice(0, 2), mistake, ...twelve]).catch((error: unknown) => error)
    assert.ok(refused instanceof BadRequestError)
    assert.equal(refused.code, 'jsonlValidationFailed')
    assert.match(refused.message, /^400 The file is not .*JSONL for fine-tuning\. Line 3: /)
    assert.match(refused.message, words)
    const { details } = refused.error as { details: { code: string; target: string }[] }
    assert.deepEqual(
      details.map(detail => [detail.code, detail.target]),
      [[code, 'line 3']],
    )
    assert.doesNotMatch(JSON.stringify(refused.error), /Rome|secret|wether|weigth/)
  })
