import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtemp, open, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { EngineFailure } from './failures.ts'
import { openGguf } from './gguf.ts'
import { readFacts } from './models-file.ts'

const folder = await mkdtemp(join(tmpdir(), 'ownkey-gguf-'))
after(() => rm(folder, { recursive: true, force: true }))
const path = join(folder, 'hostile.gguf')

const u32 = (value: number): Buffer => Buffer.from(Uint32Array.of(value).buffer)
const u64 = (value: bigint | number): Buffer => Buffer.from(BigUint64Array.of(BigInt(value)).buffer)
const text = (value: string): Buffer => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)])
const headed = (tensors: bigint | number, entries: bigint | number, ...rest: Buffer[]): Buffer =>
  Buffer.concat([Buffer.from('GGUF'), u32(3), u64(tensors), u64(entries), ...rest])
const tensor = (name: string, dims: readonly (bigint | number)[], type: number, offset: bigint | number): Buffer =>
  Buffer.concat([text(name), u32(dims.length), ...dims.map(u64), u32(type), u64(offset)])
const words = (key: string, type: number, length: bigint | number): Buffer =>
  Buffer.concat([text(key), u32(9), u32(type), u64(length)])
const HUGE = 2n ** 64n - 1n

const HOSTILE: Readonly<Record<string, readonly [Buffer, RegExp]>> = {
  'more tensors than there can be': [headed(HUGE, 0), /more than 65536 tensors/],
  'more entries than there can be': [headed(0, HUGE), /more than 65536 entries/],
  'a key of 2^63 bytes': [headed(0, 1, u64(2n ** 63n)), /a key of the model file has more than 256 bytes/],
  'a text of 2 GB': [headed(0, 1, text('a'), u32(8), u64(2n ** 31n)), /cut off or not a GGUF/],
  'a text of a negative length': [headed(0, 1, text('a'), u32(8), u64(HUGE)), /cut off or not a GGUF/],
  'an array of 2^64 values': [headed(0, 1, words('a', 0, HUGE)), /arrays of more than 4194304 values/],
  'an array of more values than any vocabulary': [
    headed(0, 1, words('a', 0, 5_000_000), Buffer.alloc(5_000_000)),
    /arrays of more than 4194304 values/,
  ],
  'an array within an array': [headed(0, 1, words('a', 9, 1), u32(9), u64(1)), /arrays within arrays/],
  'a value of no type': [headed(0, 1, text('a'), u32(77)), /unknown type 77/],
  'a key given twice': [headed(0, 2, text('a'), u32(0), Buffer.of(1), text('a')), /has a twice/],
  'a tensor given twice': [headed(2, 0, tensor('t', [4], 0, 0), tensor('t', [4], 0, 0)), /has the tensor t twice/],
  'a tensor of 5 dimensions': [headed(1, 0, tensor('t', [1, 1, 1, 1, 1], 0, 0)), /more than 4 dimensions/],
  'a tensor of 2^96 values': [
    headed(1, 0, tensor('t', [2 ** 48, 2 ** 48], 0, 0)),
    /a size or place that can't be true/,
  ],
  'a tensor without values': [headed(1, 0, tensor('t', [0], 0, 0)), /a size or place that can't be true/],
  'a tensor at 2^64': [headed(1, 0, tensor('t', [4], 0, HUGE)), /a size or place that can't be true/],
  'a tensor that is not aligned': [headed(1, 0, tensor('t', [4], 0, 4)), /does not lie at a multiple of 32/],
  'a tensor of broken blocks': [headed(1, 0, tensor('t', [33], 8, 0)), /rows of 33 values; its type has blocks of 32/],
  'an alignment of 0': [headed(0, 1, text('general.alignment'), u32(4), u32(0)), /not a power of two/],
  'an alignment of 24': [headed(0, 1, text('general.alignment'), u32(4), u32(24)), /not a power of two/],
  'an alignment of text': [headed(0, 1, text('general.alignment'), u32(8), text('x')), /not a power of two/],
  'an alignment of 2^62': [headed(0, 1, text('general.alignment'), u32(10), u64(2n ** 62n)), /not a power of two/],
  'bytes in the other order': [Buffer.concat([Buffer.from('GGUF'), Buffer.of(0, 0, 0, 3)]), /other byte order/],
}

for (const [what, [bytes, message]] of Object.entries(HOSTILE))
  test(`a model file with ${what} is refused at once, with why`, async () => {
    await writeFile(path, bytes)
    const began = performance.now()
    assert.throws(() => openGguf(path), message)
    assert.throws(() => openGguf(path), EngineFailure)
    assert.ok(performance.now() - began < 2000)
  })

test('a tensor that reaches over the end of the file makes it cut off, whatever its type', async () => {
  for (const type of [0, 8, 12, 39]) {
    await writeFile(path, headed(1, 0, tensor('t', [2 ** 20], type, 0)))
    const file = openGguf(path)
    file.close()
    assert.equal(file.isWhole, false)
  }
})

test('a header that is longer than any is refused, however large the file', async () => {
  await writeFile(path, headed(0, 1, text('a'), u32(8), u64(2 ** 31)))
  const file = await open(path, 'r+')
  await file.truncate(2 ** 33)
  await file.close()
  assert.throws(() => openGguf(path), /header of the model file has more than 256 MB/)
})

test('what is not a file is refused and never waited for: a folder, a FIFO, a device, a link to itself', async () => {
  const fifo = join(folder, 'fifo.gguf')
  execFileSync('mkfifo', [fifo])
  const loop = join(folder, 'loop.gguf')
  await symlink(loop, loop)
  for (const each of [folder, fifo, '/dev/zero', '/dev/null']) assert.throws(() => readFacts(each), /it is not a file/)
  assert.throws(() => readFacts(loop), /a link that leads to itself/)
})

test('what a file says of itself reaches a terminal without control characters, and not at length', async () => {
  const entry = (key: string, value: string) => Buffer.concat([text(key), u32(8), text(value)])
  const facts = Buffer.concat([
    entry('general.architecture', 'evil'),
    entry('general.license', `MIT\u001B]0;owned\u0007\n${'x'.repeat(5000)}`),
    Buffer.concat([text('evil.context_length'), u32(4), u32(512)]),
    Buffer.concat([words('tokenizer.ggml.tokens', 8, 1), text('a')]),
    entry('tokenizer.chat_template', '{{ messages }}'),
  ])
  await writeFile(path, headed(0, 5, facts))
  const { licence, architecture, untrainable } = readFacts(path)
  for (const said of [licence, architecture, untrainable]) assert.match(said ?? '', /^[ -~]{1,300}$/)
})
