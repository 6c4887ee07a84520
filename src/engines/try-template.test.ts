import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ChatTemplate } from './chat-template.ts'
import { CHAT_TEMPLATE } from './chatml.ts'
import { EngineFailure } from './failures.ts'
import { tryTemplate } from './try-template.ts'

const ends = { bos: '<s>', eos: '</s>' }
const counts = (limit: number, body: string) => `{% for i in range(${limit}) %}${body}{% endfor %}${CHAT_TEMPLATE}`
/** A loop of 10^12 turns without a list of them. */
const endless = `{% macro m(n) %}{% for i in range(10000) %}{% if n > 0 %}{{ m(n - 1) }}{% endif %}{% endfor %}{% endmacro %}{{ m(3) }}`

test(
  'a template that does not end is refused after 5 s, by a cloud and by the one who adds it',
  { timeout: 180_000 },
  async () => {
    const message = /chat template of the model can't be used: it takes longer than 5 s/
    assert.throws(() => new ChatTemplate(endless + CHAT_TEMPLATE, ends), message)
    await assert.rejects(tryTemplate(endless + CHAT_TEMPLATE, ends), message)
  },
)

test('a template that lays out a book is refused', async () => {
  const long = counts(100_000, 'x'.repeat(100))
  assert.throws(() => new ChatTemplate(long, ends), /it lays out more than 4194304 characters/)
  await assert.rejects(tryTemplate(long, ends), /it lays out more than 4194304 characters/)
})

test(
  'a template that wants all memory ends its own process, and is refused with why',
  { timeout: 180_000 },
  async () => {
    const greedy =
      '{% set ns = namespace(l=[1,2,3,4,5,6,7,8]) %}{% for i in range(40) %}{% set ns.l = ns.l + ns.l %}{% endfor %}'
    await assert.rejects(tryTemplate(greedy + CHAT_TEMPLATE, ends), error => {
      assert.ok(error instanceof EngineFailure)
      assert.match(
        error.message,
        /chat template of the model can't be used: it (needs more memory|takes longer)|Invalid/,
      )
      return true
    })
  },
)

test('a template that is nested as deep as it is long is refused, not a crash', async () => {
  await assert.rejects(tryTemplate(`{{ ${'('.repeat(120_000)}1 }}`, ends), /chat template of the model can't be used/)
})

test('a template that is in order passes', async () => {
  await tryTemplate(CHAT_TEMPLATE, ends)
})
