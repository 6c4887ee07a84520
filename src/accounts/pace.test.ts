import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pace } from './pace.ts'

test('what passes is what came: each byte once, in its order, with a limit on its rate and without', async () => {
  // Each chunk differs from the next, and the sizes go past a wait and stay below one.
  const sizes = [0, 1, 65_536, 300_000, 7, 65_536]
  const chunks = sizes.map((size, index) => Buffer.alloc(size, `chunk ${index} `))
  const source = async function* (): AsyncGenerator<Uint8Array> {
    yield* chunks
  }
  for (const rate of [undefined, 20]) {
    const passed = await Array.fromAsync(pace(rate, new AbortController().signal).through(source()))
    assert.ok(Buffer.concat(passed).equals(Buffer.concat(chunks)), `${rate} MiB/s`)
  }
})

test('a stop ends a passage at once, with a limit on its rate and without', async () => {
  for (const rate of [undefined, 1000]) {
    const stop = new AbortController()
    let passed = 0
    const source = async function* (): AsyncGenerator<Uint8Array> {
      for (;;) yield Buffer.alloc(1024)
    }
    const reading = async (): Promise<void> => {
      for await (const chunk of pace(rate, stop.signal).through(source())) {
        passed += chunk.length
        if (passed === 4096) stop.abort()
        assert.ok(passed <= 8192, 'it goes on')
      }
    }
    await assert.rejects(reading(), { name: 'AbortError' })
  }
})
