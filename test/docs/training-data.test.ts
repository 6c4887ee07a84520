import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plainConversation } from '../../src/engines/tool-text.ts'
import { checkExample } from '../../src/engines/training-example.ts'
import { TRAINING_LIMITS } from '../../src/engines/training-file.ts'
import { TRAINING_FILE } from '../../src/http/error-codes.ts'
import { readPages } from './blocks.ts'

const page = (await readPages()).find(({ path }) => path === 'docs/training-data.md')
assert.ok(page !== undefined)
const [example = '', ...texts] = page.blocks.map(({ text }) => text)

test('the example of the page is taken, and written as text as the page shows it', () => {
  const conversation = checkExample(JSON.parse(example))
  assert.ok(typeof conversation === 'object', JSON.stringify(conversation))
  const contents = plainConversation(conversation, 'tool').map(({ content }) => content)
  assert.deepEqual(contents, [`Be short.\n\n${texts[0]}`, 'Weather in Rome?', texts[1], texts[2], 'The sun shines.'])
})

test('codes and limits of the page are those of the code', () => {
  const codes = page.spans.map(({ text }) => text).filter(text => /^[a-z]+(_[a-z0-9]+)+$/.test(text))
  const fields = ['tool_calls', 'tool_call_id', 'function_call', 'parallel_tool_calls']
  for (const code of codes.filter(one => !fields.includes(one))) assert.ok(code in TRAINING_FILE, code)
  const { file, line, depth, values } = TRAINING_LIMITS
  assert.deepEqual([file, line, depth, values], [512 << 20, 1 << 20, 64, 20_000])
})
