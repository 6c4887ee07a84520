import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EngineFailure } from './failures.ts'
import { encodeGguf, openGguf } from './gguf.ts'
import { memoryFile } from './memory-file.ts'

const opened = (bytes: Buffer) => {
  const file = memoryFile(bytes)
  try {
    return openGguf(file.path)
  } finally {
    file.close()
  }
}

const BYTES = encodeGguf(
  [
    { key: 'name', type: 'string', value: 'grüße' },
    { key: 'count', type: 'u32', value: 7 },
    { key: 'factor', type: 'f32', value: 0.5 },
    { key: 'flag', type: 'bool', value: true },
    { key: 'words', type: 'strings', value: ['a', 'bc'] },
    { key: 'kinds', type: 'i32s', value: [3, -1] },
  ],
  [
    { name: 'norm', shape: [3, 1], data: Float32Array.of(1, 2, 3) },
    { name: 'matrix', shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) },
  ],
)

test('an encoded file is read back', () => {
  const file = opened(BYTES)
  assert.deepEqual(Object.fromEntries(file.metadata), {
    name: 'grüße',
    count: 7,
    factor: 0.5,
    flag: true,
    words: ['a', 'bc'],
    kinds: [3, -1],
  })
  assert.deepEqual(file.tensor('norm'), { name: 'norm', shape: [3, 1], data: Float32Array.of(1, 2, 3) })
  assert.deepEqual(file.tensor('matrix').data, Float32Array.of(1, 2, 3, 4))
  file.close()
})

test('a file cut off anywhere is an error, never a wrong model', () => {
  for (let length = 0; length < BYTES.length - 32; length += 5) {
    assert.throws(() => {
      const file = opened(BYTES.subarray(0, length))
      try {
        file.tensor('matrix')
      } finally {
        file.close()
      }
    }, EngineFailure)
  }
})
