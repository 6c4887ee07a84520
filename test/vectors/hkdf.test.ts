import assert from 'node:assert/strict'
import { hkdfSync } from 'node:crypto'
import { test } from 'node:test'
import { accepted, hex, load } from './wycheproof.ts'
import type { Case } from './wycheproof.ts'

interface HkdfGroup {
  tests: (Case & { ikm: string; salt: string; info: string; size: number; okm: string })[]
}

// deriveKey and the blob keys put their own label into `info`, so this runs the HKDF that both call, with the same hash.
test('Wycheproof HKDF-SHA-256: every case', async () => {
  const file = load<HkdfGroup>('hkdf_sha256_test')
  let cases = 0
  for (const { tests } of file.testGroups) {
    for (const { tcId, ikm, salt, info, size, okm, result } of tests) {
      const made = await accepted(() => Buffer.from(hkdfSync('sha256', hex(ikm), hex(salt), hex(info), size)))
      assert.equal(made?.toString('hex'), result === 'valid' ? okm : undefined, `case ${tcId}`)
      cases++
    }
  }
  assert.equal(cases, file.numberOfTests)
})
