import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pace } from './pace.ts'

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
