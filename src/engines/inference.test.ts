import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import { Catalogue, EMBEDDED_BASE } from './catalogue.ts'
import type { ChatDelta, ChatRequest, LoadedModel } from './engine.ts'
import { ContextTooLong, EngineBusy, EngineFailure } from './failures.ts'
import { openGguf } from './gguf.ts'
import { llamaRuntime } from './inference.ts'
import { encodeAdapter, freshAdapter } from './lora.ts'
import { llamaTensors } from './model-shape.ts'

const runtime = llamaRuntime(new Catalogue(), { maxQueue: 3 })
const never = new AbortController().signal
const HELLO: ChatRequest = { messages: [{ role: 'user', content: 'Who are you?' }], temperature: 0 }
const LONG: ChatRequest = {
  messages: [{ role: 'user', content: 'Tell me a story.' }],
  temperature: 1,
  seed: 1,
  stop: ['@@@'],
}

type End = Extract<ChatDelta, { type: 'end' }>

async function answer(model: LoadedModel, request: ChatRequest): Promise<{ text: string; end: End; deltas: number }> {
  const deltas = await Array.fromAsync(model.chat(request, never))
  const text = deltas.map(delta => (delta.type === 'text' ? delta.text : '')).join('')
  return { text, end: deltas.at(-1) as End, deltas: deltas.length }
}

describe('a loaded model', () => {
  let model: LoadedModel
  before(async () => {
    model = await runtime.load({ id: 'base', base: EMBEDDED_BASE.name })
  })
  after(() => model.unload())

  test('streams an answer and ends with the usage', async () => {
    const { text, end, deltas } = await answer(model, HELLO)
    assert.match(text, /language model/)
    assert.ok(deltas > 3)
    assert.equal(end.finishReason, 'stop')
    assert.ok(end.promptTokens > 5 && end.completionTokens > 5)
  })

  test('answers the same at temperature 0, whatever was asked in between', async () => {
    const first = await answer(model, HELLO)
    await answer(model, LONG)
    assert.deepEqual((await answer(model, HELLO)).text, first.text)
  })

  test('answers the same for the same seed and differently for another', async () => {
    const request = { ...LONG, maxTokens: 40, temperature: 1.5 }
    const texts = await Promise.all([1, 1, 2].map(async seed => (await answer(model, { ...request, seed })).text))
    assert.equal(texts[0], texts[1])
    assert.notEqual(texts[0], texts[2])
  })

  test('stops at maxTokens with reason "length" and before a stop sequence with reason "stop"', async () => {
    const { end } = await answer(model, { ...HELLO, maxTokens: 3 })
    assert.deepEqual([end.finishReason, end.completionTokens], ['length', 3])
    const stopped = await answer(model, { ...HELLO, stop: [' language'] })
    assert.equal(stopped.end.finishReason, 'stop')
    assert.doesNotMatch(stopped.text, /language/)
  })

  test('refuses a prompt that does not fit', async () => {
    const request = { messages: [{ role: 'user' as const, content: 'word '.repeat(2000) }] }
    await assert.rejects(answer(model, request), (error: unknown) => {
      assert.ok(error instanceof ContextTooLong && error instanceof RangeError)
      assert.match(error.message, /maximum context length is 1024 tokens/)
      return true
    })
    assert.ok((await answer(model, HELLO)).text)
  })

  test('an aborted request ends with the reason, and the next is not disturbed', async () => {
    const abort = new AbortController()
    const reason = new Error('gone')
    const reading = (async () => {
      for await (const delta of model.chat({ ...LONG, temperature: 2 }, abort.signal)) {
        if (delta.type === 'text') abort.abort(reason)
      }
    })()
    await assert.rejects(reading, reason)
    assert.match((await answer(model, HELLO)).text, /language model/)
  })

  test('a reader that leaves early does not disturb the next request', async () => {
    for await (const delta of model.chat(LONG, never)) if (delta.type === 'text') break
    assert.match((await answer(model, HELLO)).text, /language model/)
  })

  test('requests run one after another, and too many are refused', async () => {
    const results = await Promise.allSettled(Array.from({ length: 5 }, () => answer(model, HELLO)))
    assert.deepEqual(
      results.map(result =>
        result.status === 'rejected' && result.reason instanceof EngineBusy ? 'busy' : 'answered',
      ),
      ['answered', 'answered', 'answered', 'busy', 'busy'],
    )
  })

  test('its process has an empty environment and dumps no core', () => {
    process.env['OWNKEY_TEST_SECRET'] = 'secret-value'
    const environment = readFileSync(`/proc/${model.pid}/environ`, 'latin1')
    assert.doesNotMatch(environment, /SECRET/)
    assert.match(environment, /HOME=\/nonexistent\0/)
    assert.match(readFileSync(`/proc/${model.pid}/limits`, 'latin1'), /Max core file size +0 +0/)
  })
})

test('an adapter is loaded from memory, and unload ends the process that held it', async () => {
  const file = openGguf(EMBEDDED_BASE.path)
  const adapter = encodeAdapter(freshAdapter(llamaTensors(file), 1))
  file.close()
  const model = await runtime.load({ id: 'tuned', base: 'gpt-4o-mini', adapter: Readable.from([adapter]) })
  assert.match((await answer(model, HELLO)).text, /language model/)
  await model.unload()
  assert.throws(() => process.kill(model.pid, 0), /ESRCH/)
  await assert.rejects(answer(model, HELLO), EngineFailure)
})

test('a broken adapter is refused with a clear error', async () => {
  const load = runtime.load({ id: 'broken', base: 'gpt-4o-mini', adapter: Readable.from([Buffer.from('nonsense')]) })
  await assert.rejects(load, EngineFailure)
})

test('a process that dies resolves `ended` and fails the request under way', async () => {
  const model = await runtime.load({ id: 'dies', base: EMBEDDED_BASE.name })
  process.kill(model.pid, 'SIGKILL')
  assert.match(await model.ended, /SIGKILL/)
  await assert.rejects(answer(model, HELLO), EngineFailure)
})
