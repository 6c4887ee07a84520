import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { BlobContext } from '../../src/crypto/sealed-blob.ts'
import { sealAll } from '../../src/crypto/sealing.test-support.ts'

interface Frozen {
  key: string
  cases: { name: string; context: BlobContext; plaintextSha256: string; metadata: string; sealedMetadata: string }[]
}

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))
const script = path('../../examples/decoder/open_sealed_blob.py')
const frozen = JSON.parse(readFileSync(path('../vectors/sealed-blob-v1/cases.json'), 'utf8')) as Frozen
const missing = spawnSync('python3', ['-c', 'import cryptography']).status !== 0
const options = { skip: missing && 'python3 with the package "cryptography" is not installed' }
const folder = mkdtempSync(join(tmpdir(), 'ownkey-decoder-'))
after(() => rmSync(folder, { recursive: true }))

function decode(file: string, key: string, context: BlobContext, ...more: string[]) {
  const { accountId, kind, blobId, generation } = context
  const about = ['--account', accountId, '--kind', kind, '--blob', blobId, '--generation', String(generation)]
  const { status, stdout, stderr } = spawnSync('python3', [script, file, '--key-from', '-', ...about, ...more], {
    input: key,
  })
  return { status, stdout, stderr: stderr.toString() }
}

test('the decoder written from the specification opens every frozen blob and its metadata', options, () => {
  for (const { name, context, plaintextSha256, metadata, sealedMetadata } of frozen.cases) {
    const file = path(`../vectors/sealed-blob-v1/${name}.sealed`)
    const opened = decode(file, frozen.key, context)
    assert.equal(createHash('sha256').update(opened.stdout).digest('hex'), plaintextSha256, opened.stderr)
    const record = decode(file, frozen.key, context, '--metadata', sealedMetadata)
    assert.equal(record.stdout.toString(), metadata, record.stderr)
  }
})

test('it opens a new blob, whole and in a range, and refuses a cut blob and another context', options, async () => {
  const context: BlobContext = { accountId: 'Konto-ü', kind: 'checkpoint', blobId: randomUUID(), generation: 7 }
  const key = randomBytes(32)
  const data = randomBytes(200_000)
  const sealed = await sealAll(key, context, [data])
  const file = join(folder, 'blob.sealed')
  writeFileSync(file, sealed)
  const secret = key.toString('hex')
  assert.ok(decode(file, secret, context).stdout.equals(data))
  const range = decode(file, secret, context, '--start', '65530', '--end', '131080')
  assert.ok(range.stdout.equals(data.subarray(65_530, 131_080)))
  const wrong = decode(file, secret, { ...context, generation: 8 })
  assert.deepEqual([wrong.status, wrong.stdout.length], [1, 0])
  assert.match(wrong.stderr, /wrong key or context/)
  writeFileSync(file, sealed.subarray(0, 96 + 2 * 65_552))
  const cut = decode(file, secret, context, '--end', '10')
  assert.deepEqual([cut.status, cut.stdout.length], [1, 0])
})

test('the decoder stays short enough to be read: 150 lines at most', () => {
  assert.ok(readFileSync(script, 'utf8').split('\n').length <= 151)
})

test('the test vector in docs/sealed-blob.md is the frozen blob "hello"', () => {
  const page = readFileSync(path('../../docs/sealed-blob.md'), 'utf8').replaceAll(/\s+/g, '')
  const hello = frozen.cases.find(({ name }) => name === 'hello')
  assert.ok(page.includes(readFileSync(path('../vectors/sealed-blob-v1/hello.sealed')).toString('hex')))
  assert.ok(hello !== undefined && page.includes(hello.sealedMetadata) && page.includes(frozen.key))
})
