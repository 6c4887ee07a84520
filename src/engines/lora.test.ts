import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EngineFailure } from './failures.ts'
import { LORA } from './lora-settings.ts'
import { freshAdapter } from './lora.ts'

const base = ['attn_q', 'ffn_up'].map(name => ({ name: `blk.0.${name}.weight`, shape: [4, 6] as const }))

test('an adapter is for the chosen matrices that the base has, and for none there is no training', () => {
  const names = freshAdapter(base, 1, { ...LORA, targets: ['attn_q', 'attn_qkv'] }).parameters.map(({ name }) => name)
  assert.deepEqual(names, ['blk.0.attn_q.weight.lora_a', 'blk.0.attn_q.weight.lora_b'])
  assert.throws(
    () => freshAdapter(base, 1, { ...LORA, targets: ['attn_qkv'] }),
    (error: unknown) => error instanceof EngineFailure && /none of the matrices to adapt: attn_qkv/.test(error.message),
  )
})

test('an adapter that could be trained and not be served is refused before the training', () => {
  const wide = [{ name: 'blk.0.ffn_up.weight', shape: [400_000, 400_000] as const }]
  assert.throws(() => freshAdapter(wide, 1, { ...LORA, rank: 256 }), /has 820 MB, and 500 are the most/)
})
