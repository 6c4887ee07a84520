import assert from 'node:assert/strict'
import { createHash, createSecretKey, hkdfSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { gcm } from '@noble/ciphers/aes.js'
import { openBox } from '../../src/crypto/box.ts'
import { openMetadata, openSealed } from '../../src/crypto/sealed-blob.ts'
import type { BlobContext } from '../../src/crypto/sealed-blob.ts'
import { readAll, readerOf, sealAll } from '../../src/crypto/sealing.test-support.ts'
import { encodeContext, unwrap } from '../../src/crypto/wrap.ts'
import { hex } from './wycheproof.ts'

interface FrozenBlob {
  name: string
  context: BlobContext
  plaintextBytes: number
  plaintextSha256: string
  metadata: string
  sealedMetadata: string
}

interface Frozen {
  key: string
  cases: FrozenBlob[]
  wrapped: { associatedData: string; plaintext: string; wrapped: string }
  box: { associatedData: string; plaintext: string; sealed: string }
}

const folder = new URL('sealed-blob-v1/', import.meta.url)
const frozen = JSON.parse(readFileSync(new URL('cases.json', folder), 'utf8')) as Frozen
const key = createSecretKey(hex(frozen.key))
const sealedFile = (name: string) => readFileSync(new URL(`${name}.sealed`, folder))
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

for (const { name, context, plaintextBytes, plaintextSha256, metadata, sealedMetadata } of frozen.cases) {
  test(`the sealed blob of version 1 "${name}" opens for ever`, async () => {
    const sealed = sealedFile(name)
    const blob = await openSealed(key, context, readerOf(sealed))
    const plaintext = await readAll(blob.read())
    assert.deepEqual([plaintext.length, sha256(plaintext)], [plaintextBytes, plaintextSha256])
    assert.equal(openMetadata(key, blob.header, context, hex(sealedMetadata)).toString(), metadata)
  })

  test(`sealing "${name}" again with its salt gives the same bytes`, async () => {
    const sealed = sealedFile(name)
    const plaintext = await readAll((await openSealed(key, context, readerOf(sealed))).read())
    const salt = sealed.subarray(32, 64)
    assert.ok((await sealAll(key, context, [plaintext], () => Buffer.from(salt))).equals(sealed))
  })

  test(`another implementation of AES-GCM (noble-ciphers) opens "${name}"`, () => {
    const sealed = sealedFile(name)
    const id = hex(context.blobId.replaceAll('-', ''))
    const digest = createHash('sha256')
      .update(encodeContext(context.accountId, context.kind, id, context.generation))
      .digest()
    const info = encodeContext('ownkey sealed blob', sealed.subarray(0, 64), digest)
    const content = new Uint8Array(hkdfSync('sha256', key, sealed.subarray(32, 64), info, 96)).subarray(32, 64)
    const chunks = Math.ceil((sealed.length - 96) / 65_552)
    const opened = Array.from({ length: chunks }, (_, index) => {
      const nonce = Buffer.alloc(12)
      nonce.writeUInt32BE(index, 7)
      nonce[11] = Number(index === chunks - 1)
      return gcm(content, nonce).decrypt(sealed.subarray(96 + index * 65_552, 96 + (index + 1) * 65_552))
    })
    assert.equal(sha256(Buffer.concat(opened)), plaintextSha256)
  })
}

test('wrapped keys and boxes of version 1 open for ever', () => {
  const { wrapped, box } = frozen
  assert.equal(
    unwrap(key, hex(wrapped.wrapped), Buffer.from(wrapped.associatedData)).toString('hex'),
    wrapped.plaintext,
  )
  assert.equal(openBox(key, Buffer.from(box.associatedData), hex(box.sealed)).toString(), box.plaintext)
})
