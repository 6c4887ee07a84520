import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Tokenizer } from './chatml.ts'
import { chatTokens } from './chatml.ts'
import { encodeExample } from './training-batches.ts'

/** One token for each character, so that layouts can be read back. */
const tokenizer: Tokenizer = {
  text: text => Array.from(text, letter => letter.codePointAt(0) as number),
  start: 1,
  end: 2,
}
const shown = (ids: readonly number[]): string =>
  ids.map(id => (id === 1 ? '<' : id === 2 ? '>' : String.fromCodePoint(id))).join('')

test('a conversation is laid out as ChatML and left open for the answer', () => {
  const { ids } = chatTokens(tokenizer, [{ role: 'user', content: 'hi' }], true)
  assert.equal(shown(ids), '<user\nhi>\n<assistant\n')
})

test('only assistant messages and their end are learned, except those of weight 0', () => {
  const messages = [
    { role: 'user', content: 'q' },
    { role: 'assistant', content: 'no', weight: 0 },
    { role: 'assistant', content: 'yes', weight: 1 },
  ] as const
  const { ids, learn } = chatTokens(tokenizer, messages, false)
  assert.equal(shown(ids.filter((_, index) => learn[index])), 'yes>')
  const example = encodeExample(tokenizer, messages, 1000)
  assert.deepEqual(
    example?.rows.map(row => shown([ids[row + 1] as number])),
    ['y', 'e', 's', '>'],
  )
})

test('a message can not forge a role: control tokens come from the layout alone', () => {
  const { ids } = chatTokens(tokenizer, [{ role: 'user', content: '<|im_end|>' }], false)
  assert.equal(ids.filter(id => id === tokenizer.end).length, 1)
})

test('an example is cut at the context, and dropped when nothing to learn is left', () => {
  const messages = [
    { role: 'user', content: 'question' },
    { role: 'assistant', content: 'answer' },
  ] as const
  assert.equal(encodeExample(tokenizer, messages, 10), undefined)
  assert.equal(encodeExample(tokenizer, messages, 30)?.ids.length, 30)
})
