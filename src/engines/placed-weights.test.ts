import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TrainingDataUnfit } from './failures.ts'
import { F32, loadGgml } from './ggml.ts'
import { reserveWeights } from './placed-weights.ts'

test('a base for which there is no memory at all does not fit, as one that is over the bound', () => {
  const never = (): never => assert.fail('nothing is read')
  // More than processors can address.
  const shape = [2 ** 20, 2 ** 26] as const
  const frozen = [{ name: 'token_embd.weight', shape, type: F32, bytes: never, values: never }]
  assert.throws(
    () => reserveWeights(loadGgml(1), frozen, [], { loraScale: 1, turned: false }),
    (error: unknown) => error instanceof TrainingDataUnfit && error.reason === 'outOfMemory',
  )
})
