import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { ReceivedWeights } from './sealed-weights.ts'

const skip = process.platform === 'linux' ? false : 'memory files are of Linux'

test('received weights are read from memory, which is given back when they are closed', { skip }, () => {
  const weights = new ReceivedWeights()
  for (const part of ['first ', 'second']) weights.add(Buffer.from(part))
  const path = weights.pathOr('/nonexistent')
  assert.equal(readFileSync(path, 'utf8'), 'first second')
  weights.close()
  assert.equal(existsSync(path), false)
  assert.equal(weights.pathOr('/a/file.gguf'), '/a/file.gguf')
})
