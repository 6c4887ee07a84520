import assert from 'node:assert/strict'
import { PassThrough, Readable } from 'node:stream'
import { test } from 'node:test'
import { EngineFailure } from './failures.ts'
import { readFrames, writeFrame } from './frames.ts'

async function encoded(...frames: [unknown, Buffer][]): Promise<Buffer> {
  const pipe = new PassThrough({ highWaterMark: 1 << 20 })
  for (const [header, body] of frames) await writeFrame(pipe, header, body)
  pipe.end()
  return Buffer.concat(await Array.fromAsync(pipe))
}

test('frames come out as they went in, wherever the pipe cuts them', async () => {
  const frames: [unknown, Buffer][] = [
    [{ type: 'a' }, Buffer.alloc(0)],
    [{ type: 'b', text: 'grüße' }, Buffer.alloc(1000, 7)],
    [{ type: 'c' }, Buffer.from('x')],
  ]
  const bytes = await encoded(...frames)
  for (const cut of [1, 3, 8, 17, 5000]) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / cut) }, (_, at) =>
      bytes.subarray(at * cut, (at + 1) * cut),
    )
    const read = await Array.fromAsync(readFrames(Readable.from(chunks)))
    assert.deepEqual(
      read.map(({ header, body }) => [header, body]),
      frames,
    )
  }
})

test('a pipe that ends inside a frame is an error', async () => {
  const bytes = await encoded([{ type: 'a' }, Buffer.alloc(10)])
  await assert.rejects(Array.fromAsync(readFrames(Readable.from([bytes.subarray(0, -1)]))), EngineFailure)
})

test('a length beyond the limit is refused before memory is taken for it', async () => {
  await assert.rejects(Array.fromAsync(readFrames(Readable.from([Buffer.alloc(8, 0xff)]))), /too large/)
})

test('a pipe that fills many times has no leftover listeners', async () => {
  const pipe = new PassThrough({ highWaterMark: 16 })
  pipe.on('data', () => undefined)
  const before = pipe.eventNames().map(name => [name, pipe.listenerCount(name)])
  for (let n = 0; n < 50; n += 1) {
    pipe.pause()
    const written = writeFrame(pipe, { type: 'bytes' }, Buffer.alloc(1000))
    pipe.resume()
    await written
  }
  assert.deepEqual(
    pipe.eventNames().map(name => [name, pipe.listenerCount(name)]),
    before,
  )
})
