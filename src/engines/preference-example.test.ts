import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkPreference } from './preference-example.ts'
import { checkTrainingFile, readTrainingFile } from './training-file.ts'

const user = { role: 'user', content: 'Say one' }
const answer = (content: string, more: object = {}) => ({ role: 'assistant', content, ...more })
const line = (more: object = {}) => ({
  input: { messages: [user], tools: [], parallel_tool_calls: true },
  preferred_output: [answer('One.')],
  non_preferred_output: [answer('Uno.')],
  ...more,
})

async function* bytesOf(lines: readonly object[]): AsyncGenerator<Buffer> {
  yield Buffer.from(lines.map(one => JSON.stringify(one)).join('\n'))
}

const ten = (one: object): object[] => Array.from({ length: 10 }, () => one)

test('a line of the preference format is two conversations, of which the outputs alone are learned', async () => {
  const talk = [user, answer('Before.'), user]
  const [item] = await Array.fromAsync(readTrainingFile(bytesOf([line({ input: { messages: talk } })])))
  assert.ok(item !== undefined && 'example' in item)
  const before = [user, answer('Before.', { weight: 0 }), user]
  assert.deepEqual(item.example.messages, [...before, answer('One.')])
  assert.deepEqual(item.example.nonPreferred, [...before, answer('Uno.')])
  assert.deepEqual(await checkTrainingFile(bytesOf(ten(line()))), { examples: 10, format: 'preference', findings: [] })
})

const refused: readonly (readonly [string, object, string, RegExp])[] = [
  ['no input', { input: undefined }, 'missing_input', /no "input" with a "messages" list/],
  ['an input without messages', { input: {} }, 'missing_input', /no "input" with/],
  ['no preferred output', { preferred_output: undefined }, 'missing_output', /no "preferred_output"/],
  ['an empty other output', { non_preferred_output: [] }, 'missing_output', /no "non_preferred_output"/],
  ['an output of the user', { preferred_output: [user] }, 'unknown_role', /other than assistant and tool/],
  ['an output of a tool alone', { preferred_output: [{ role: 'tool' }] }, 'no_assistant_message', /"preferred_output"/],
  ['an answer that is not a text', { preferred_output: [answer('', {})] }, 'invalid_content', /message 2/],
  ['a message of nobody', { input: { messages: [{ role: 'clown', content: '' }] } }, 'unknown_role', /message 1/],
  ['nothing to learn', { preferred_output: [answer('x', { weight: 0 })] }, 'no_weighted_message', /weight 0/],
]

for (const [what, more, code, message] of refused)
  test(`${what} is a finding of its line, without its content`, async () => {
    const { findings } = await checkTrainingFile(bytesOf([line(), line(more), ...ten(line())]))
    assert.equal(findings.length, 1)
    assert.equal(findings[0]?.code, code)
    assert.equal(findings[0]?.line, 2)
    assert.match(findings[0]?.message ?? '', message)
    assert.doesNotMatch(findings[0]?.message ?? '', /Uno|clown/)
  })

test('a file has conversations or preferences, and not both', async () => {
  const chat = { messages: [user, answer('One.')] }
  const { findings } = await checkTrainingFile(bytesOf([...ten(chat), line()]))
  assert.deepEqual(
    findings.map(one => [one.code, one.line]),
    [['mixed_formats', 11]],
  )
  const other = await checkTrainingFile(bytesOf([...ten(line()), chat]))
  assert.equal(other.findings[0]?.code, 'mixed_formats')
})

test('a preference may have tools, which both conversations get, and a mistake in an output is found there', () => {
  const input = {
    messages: [{ role: 'user', content: 'q' }],
    tools: [{ type: 'function', function: { name: 'f' } }],
    parallel_tool_calls: false,
  }
  const call = (name: string) => ({
    role: 'assistant',
    tool_calls: [{ id: 'a', type: 'function', function: { name, arguments: '{}' } }],
  })
  const other = [{ role: 'assistant', content: 'n' }]
  assert.deepEqual(checkPreference({ input, preferred_output: [call('f')], non_preferred_output: other }), {
    tools: [{ name: 'f' }],
    parallelToolCalls: false,
    messages: [
      { role: 'user', content: 'q' },
      { role: 'assistant', content: '', toolCalls: [{ id: 'a', name: 'f', arguments: '{}' }] },
    ],
    nonPreferred: [
      { role: 'user', content: 'q' },
      { role: 'assistant', content: 'n' },
    ],
  })
  const refused = checkPreference({ input, preferred_output: other, non_preferred_output: [call('g')] })
  assert.ok(typeof refused === 'string')
  assert.match(refused, /^unknown_tool\|with "non_preferred_output" after "input": call 1 of message 2/)
})
