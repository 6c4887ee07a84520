import assert from 'node:assert/strict'
import { createSecretKey } from 'node:crypto'
import { test } from 'node:test'
import { aesKwUnwrap, aesKwWrap, aesKwpUnwrap, aesKwpWrap } from '../../src/crypto/wrap.ts'
import { accepted, hex, load } from './wycheproof.ts'
import type { Case } from './wycheproof.ts'

interface WrapGroup {
  tests: (Case & { key: string; msg: string; ct: string })[]
}

const algorithms = [
  { name: 'AES-KW (RFC 3394)', vectors: 'aes_wrap_test', wrapKey: aesKwWrap, unwrapKey: aesKwUnwrap },
  { name: 'AES-KWP (RFC 5649)', vectors: 'aes_kwp_test', wrapKey: aesKwpWrap, unwrapKey: aesKwpUnwrap },
]

for (const { name, vectors, wrapKey, unwrapKey } of algorithms) {
  test(`Wycheproof ${name}: every case, both ways, an empty wrapped key refused`, async () => {
    const file = load<WrapGroup>(vectors)
    let cases = 0
    for (const { tests } of file.testGroups) {
      for (const { tcId, key, msg, ct, result, flags } of tests) {
        const kek = createSecretKey(hex(key))
        const opened = await accepted(() => unwrapKey(kek, hex(ct)))
        const wrapped = await accepted(() => wrapKey(kek, hex(msg)))
        if (result === 'valid') {
          assert.equal(opened?.toString('hex'), msg, `case ${tcId} ${flags.join()}`)
          assert.equal(wrapped?.toString('hex'), ct, `case ${tcId} ${flags.join()}`)
        } else if (result === 'invalid') {
          assert.equal(opened, undefined, `case ${tcId} ${flags.join()}`)
        } else assert.ok(opened === undefined || opened.toString('hex') === msg, `case ${tcId} ${flags.join()}`)
        cases++
      }
    }
    assert.equal(cases, file.numberOfTests)
  })
}
