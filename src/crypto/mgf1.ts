import { createHash } from 'node:crypto'

/** MGF1 (RFC 8017, B.2.1). */
export function mgf1(hash: string, seed: Uint8Array, length: number): Buffer {
  const blocks: Buffer[] = []
  const counter = Buffer.alloc(4)
  for (let made = 0, index = 0; made < length; index++) {
    counter.writeUInt32BE(index)
    const block = createHash(hash).update(seed).update(counter).digest()
    blocks.push(block)
    made += block.length
  }
  return Buffer.concat(blocks).subarray(0, length)
}
