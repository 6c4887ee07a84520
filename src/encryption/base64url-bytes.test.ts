import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { readBase64Url, writeBase64Url } from './base64url-bytes.ts'

test('bytes become the same base64url as elsewhere, and are read back', () => {
  for (let length = 0; length < 100; length += 1) {
    const bytes = randomBytes(length)
    const text = Buffer.from(bytes.toString('base64url'))
    const written = Buffer.alloc(text.length)
    writeBase64Url(bytes, written)
    assert.deepEqual(written, text)
    assert.deepEqual(readBase64Url(text), bytes)
    assert.deepEqual(readBase64Url(Buffer.from(bytes.toString('base64'))), bytes)
  }
})

test('a text that is not base64url is not read', () => {
  for (const text of ['ab"d', 'a b', 'a\\u0041', 'é']) assert.equal(readBase64Url(Buffer.from(text)), undefined, text)
})
