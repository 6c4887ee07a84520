import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startEngineProcess } from './engine-process.ts'
import { EngineLost, type LossReason } from './failures.ts'

const file = new URL('./idle.child.ts', import.meta.url)

/** @param stuckSeconds how long it may be about its work */
async function outcome(type: string, stuckSeconds: number): Promise<unknown> {
  const engine = startEngineProcess(file, 'engine', { silentSeconds: 5, stuckSeconds })
  try {
    await engine.send({ type })
    return (await engine.next()).header
  } catch (error) {
    return error
  } finally {
    engine.kill()
    await engine.ended
  }
}

const lost = (error: unknown): [LossReason, string] => {
  assert.ok(error instanceof EngineLost, String(error))
  return [error.reason, error.message]
}

test('an engine that does nothing is ended after its time, one that gets on is not', async () => {
  const [stuck, slow, hangs] = await Promise.all([outcome('stuck', 3), outcome('slow', 6), outcome('hangs', 60)])
  assert.deepEqual(lost(stuck), ['hung', 'the engine got nothing done for 3 s and was ended'])
  assert.deepEqual(slow, { type: 'done' })
  assert.deepEqual(lost(hangs), ['hung', 'the engine gave no sign of life for 5 s and was ended'])
})

test('an engine that crashes, or closes its pipe, is lost, with how it ended', async () => {
  const [reason, message] = lost(await outcome('throws', 60))
  assert.equal(reason, 'crashed')
  assert.match(message, /the engine ended with code 1 \(Error: so be it\)/u)
  assert.deepEqual(lost(await outcome('closes', 60)), ['crashed', 'the engine closed its pipe and was ended'])
})
