import assert from 'node:assert/strict'
import { test } from 'node:test'
import { characterTokenizer, FAMILIES, templateOf, type Family } from './chat-families.test-support.ts'
import { answerEnds, chatTokens } from './chat-layout.ts'
import { ChatTemplate } from './chat-template.ts'
import type { Conversation } from './engine.ts'
import { guarded } from './llama-vocabulary.ts'
import { TOOL_FAMILIES } from './tool-families.test-support.ts'
import { encodeExample } from './training-batches.ts'

const chatml = FAMILIES[0] as Family
const conversation: Conversation = {
  messages: [
    { role: 'system', content: 'S' },
    { role: 'user', content: 'U' },
    { role: 'assistant', content: 'A' },
    { role: 'user', content: 'V' },
  ],
}

function layoutOf(family: Family, finds = false) {
  const template = templateOf(family)
  const tokenizer = characterTokenizer(family, finds)
  return {
    template,
    tokenizer: {
      ...guarded(tokenizer, template, [family.controls[0], family.controls.at(-1) ?? '']),
      show: (ids: readonly number[]) => tokenizer.show(ids),
    },
  }
}

for (const family of FAMILIES) {
  test(`${family.name}: a conversation is laid out by the model's own template, and left open for the answer`, () => {
    const layout = layoutOf(family)
    assert.equal(layout.tokenizer.show(chatTokens(layout, conversation, true).ids), family.laidOut)
  })

  for (const finds of [false, true])
    test(`${family.name}: no text of a message forges a role${finds ? ', also where its control tokens are user-defined' : ''}`, () => {
      const layout = layoutOf(family, finds)
      const forged = `${family.controls.join('')}${family.laidOut}`
      const said = (content: string): Conversation => ({
        messages: [
          { role: 'user', content },
          { role: 'assistant', content },
          { role: 'user', content },
        ],
      })
      const controlsOf = (content: string): number[] =>
        chatTokens(layout, said(content), true).ids.filter(id => id < 1000)
      assert.deepEqual(controlsOf(`x${forged}x`), controlsOf('x'))
      // What the model reads is still the text that was sent.
      assert.ok(layout.tokenizer.show(chatTokens(layout, said(`x${forged}x`), true).ids).includes(`x${forged}x`))
    })

  test(`${family.name}: an answer and the token that ends it are learned, and nothing else`, () => {
    const layout = layoutOf(family)
    const { ids, learn } = chatTokens(layout, conversation, false)
    const end = family.controls.at(-1) ?? ''
    assert.equal(layout.tokenizer.show(ids.filter((_, index) => learn[index])), `A${end}`)
    assert.deepEqual(answerEnds(layout), [family.controls.length])
  })
}

test('assistant messages of weight 0 are not learned', () => {
  const layout = layoutOf(chatml)
  const messages = [
    { role: 'user', content: 'q' },
    { role: 'assistant', content: 'no', weight: 0 },
    { role: 'user', content: 'r' },
    { role: 'assistant', content: 'yes', weight: 1 },
  ] as const
  const { ids, learn } = chatTokens(layout, { messages }, false)
  assert.equal(layout.tokenizer.show(ids.filter((_, index) => learn[index])), 'yes<|im_end|>')
  const example = encodeExample(layout, { messages }, 1000)
  assert.equal(example?.rows.map(row => layout.tokenizer.show([ids[row + 1] as number])).join(''), 'yes<|im_end|>')
})

test('an example is cut at the context, and dropped when nothing to learn is left', () => {
  const layout = layoutOf(chatml)
  const messages = [
    { role: 'user', content: 'question' },
    { role: 'assistant', content: 'answer' },
  ] as const
  assert.equal(encodeExample(layout, { messages }, 10), undefined)
  assert.equal(encodeExample(layout, { messages }, 30)?.ids.length, 30)
})

test('messages that a template refuses are refused in its words, without a message in them', () => {
  const mistral = layoutOf(FAMILIES.find(({ name }) => name === 'Mistral') as Family)
  const twice = [
    { role: 'user', content: 'secret one' },
    { role: 'user', content: 'secret two' },
  ] as const
  assert.throws(() => chatTokens(mistral, { messages: twice }, true), {
    name: 'ConversationRefused',
    message: /does not take these messages: roles must alternate user\/assistant/,
  })
})

test('a text begins with one token of its beginning, whether or not the template writes it', () => {
  for (const family of FAMILIES) {
    const { ids } = chatTokens({ ...layoutOf(family), bos: 1 }, conversation, true)
    assert.deepEqual([ids[0], ids.filter(id => id === 1).length], [1, 1], family.name)
  }
})

test('a template that is broken, or leaves messages out, is refused when it is opened', () => {
  const tokens = { bos: '', eos: '' }
  assert.throws(() => new ChatTemplate('{% for m in messages %}', tokens), /chat template of the model can't be used/)
  assert.throws(() => new ChatTemplate('{{ messages[0].content }}', tokens), /it leaves out a message/)
  assert.throws(() => new ChatTemplate('x'.repeat(300_000), tokens), /too long/)
})

test('text between two control tokens is tokenized as a whole', () => {
  const asked: string[] = []
  const tokenizer = characterTokenizer(chatml)
  const text = (given: string): readonly number[] => {
    asked.push(given)
    return tokenizer.text(given)
  }
  const layout = { template: templateOf(chatml), tokenizer: { ...tokenizer, text } }
  chatTokens(layout, { messages: [{ role: 'user', content: '\nhello' }] }, false)
  assert.ok(asked.includes('user\n\nhello'))
})

test('the tokenizer reads as much text as there is, also of a definition with thousands of names', () => {
  const family = TOOL_FAMILIES[0] as Family
  const { tokenizer, ...layout } = layoutOf(family)
  let read = 0
  const counting = {
    ...tokenizer,
    text: (text: string) => {
      read += text.length
      return tokenizer.text(text)
    },
  }
  const properties = Object.fromEntries(Array.from({ length: 3000 }, (_, n) => [`name${n}`, { type: 'string' }]))
  const tools = [{ name: 'f', parameters: { type: 'object', properties } }]
  const { ids } = chatTokens({ ...layout, tokenizer: counting }, { ...conversation, tools }, false)
  assert.ok(ids.length > 0)
  assert.ok(read < 1_000_000, `${read} characters`)
})
