import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { Catalogue } from '../../src/engines/catalogue.ts'
import type { ChatTool } from '../../src/engines/engine.ts'
import { llamaRuntime } from '../../src/engines/inference.ts'
import { readCalls } from '../../src/engines/tool-text.ts'
import { ggmlTrainer } from '../../src/engines/trainer.ts'

const CITIES = 'Paris Rome Berlin Madrid London Vienna Oslo Lisbon Dublin Athens'.split(' ')
const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
const tools: readonly ChatTool[] = [{ name: 'weather', description: 'The weather of a city', parameters }]

const example = (city: string): string =>
  JSON.stringify({
    tools: tools.map(tool => ({ type: 'function', function: tool })),
    messages: [
      { role: 'user', content: `Weather in ${city}?` },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'a', type: 'function', function: { name: 'weather', arguments: `{"city":"${city}"}` } }],
      },
    ],
  })

test('a model without a template for tools learns to call them, and its calls are read back', async () => {
  const catalogue = new Catalogue()
  const signal = new AbortController().signal
  const hyperparameters = { nEpochs: 12, batchSize: 3, learningRateMultiplier: 2 } as const
  const nothing = async (): Promise<void> => undefined
  const train = Readable.from([Buffer.from(CITIES.map(example).join('\n'))])
  const { adapter } = await ggmlTrainer(catalogue).train(
    { jobId: 'tools', base: 'gpt-4o-mini', train, hyperparameters, seed: 42 },
    { started: nothing, metrics: nothing, checkpoint: nothing },
    signal,
  )
  const model = await llamaRuntime(catalogue).load({ id: 'tools', base: 'gpt-4o-mini', adapter })
  const ask = async (...messages: Parameters<typeof model.chat>[0]['messages']): Promise<string> => {
    let text = ''
    for await (const delta of model.chat({ messages, tools, temperature: 0 }, signal)) {
      if (delta.type === 'text') text += delta.text
    }
    return text
  }
  try {
    const question = { role: 'user', content: 'Weather in Rome?' } as const
    const { content, calls } = readCalls(await ask(question))
    const [call] = calls
    assert.deepEqual([content, calls.length, call?.name], ['', 1, 'weather'])
    // A model of this size knows the form, and not always which city was asked for.
    const { city } = JSON.parse(call?.arguments ?? '{}') as { city?: string }
    assert.ok(CITIES.includes(city ?? ''), city)
    const toolCalls = calls.map(one => ({ ...one, id: 'any' }))
    const result = { role: 'tool', content: 'Sun', toolCallId: 'any' } as const
    assert.notEqual(await ask(question, { role: 'assistant', content, toolCalls }, result), '')
  } finally {
    await model.unload()
  }
})
