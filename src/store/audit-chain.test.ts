import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { auditHeadMessage, canonicalJson, chainHash, genesis } from './audit-chain.ts'

/** As docs/audit.md defines it. */
function hashOf(previous: string, sequence: number, canonical: string): string {
  const number = Buffer.alloc(8)
  number.writeBigUInt64BE(BigInt(sequence))
  return createHash('sha256')
    .update(Buffer.concat([Buffer.from(previous, 'hex'), number, Buffer.from(canonical)]))
    .digest('hex')
}

test('the hash of an entry is over the hash before it, its number and its canonical JSON', () => {
  const canonical = canonicalJson({ z: ['é', 1, null], a: { b: '😀' }, B: true })
  assert.equal(canonical, '{"B":true,"a":{"b":"😀"},"z":["é",1,null]}')
  const other = createHash('sha256').update('another entry').digest('hex')
  for (const [previous, sequence] of [
    [genesis, 1],
    [genesis, 2],
    [other, 1],
    [other, 2 ** 40],
  ] as const)
    assert.equal(chainHash(previous, sequence, canonical), hashOf(previous, sequence, canonical))
})

test('the MAC of a head covers its version, its count and its hash', () => {
  const message = (version: 1 | 2, entries: number, head: string): string =>
    auditHeadMessage(version, { entries, head }).toString()
  const all = [message(1, 1, 'a'), message(2, 1, 'a'), message(2, 2, 'a'), message(2, 1, 'b'), message(2, 11, 'a')]
  assert.equal(new Set(all).size, all.length)
})
