import type { Readable, Writable } from 'node:stream'
import { once } from 'node:events'
import { EngineFailure } from './failures.ts'

/** A message between the server and an engine process: a JSON header and bytes. */
export interface Frame<Header = unknown> {
  readonly header: Header
  readonly body: Buffer
}

const MAX_HEADER = 64 * 1024 * 1024
const MAX_BODY = 2 * 1024 * 1024 * 1024

/** Writes one frame (u32 header length, u32 body length, header, body) and waits while the pipe is full. */
export async function writeFrame(
  stream: Writable,
  header: unknown,
  body: Uint8Array = new Uint8Array(),
): Promise<void> {
  const json = Buffer.from(JSON.stringify(header))
  const lengths = Buffer.alloc(8)
  lengths.writeUInt32LE(json.length, 0)
  lengths.writeUInt32LE(body.length, 4)
  if (stream.destroyed || !stream.writable) throw new EngineFailure('the engine process has ended')
  stream.write(lengths)
  stream.write(json)
  if (!stream.write(body)) await drained(stream)
}

/** Resolves when the stream takes more, or is gone. It removes its listeners, since a large file fills the pipe many times. */
async function drained(stream: Writable): Promise<void> {
  const done = new AbortController()
  const { signal } = done
  try {
    await Promise.race([once(stream, 'drain', { signal }), once(stream, 'close', { signal })])
  } finally {
    done.abort()
  }
}

/** Reads frames until the pipe ends. @throws EngineFailure when it ends inside a frame */
export async function* readFrames(stream: Readable): AsyncGenerator<Frame<Record<string, unknown>>> {
  let parts: Buffer[] = []
  let size = 0
  let wanted = 8
  for await (const chunk of stream) {
    parts.push(chunk as Buffer)
    size += (chunk as Buffer).length
    while (size >= wanted) {
      const bytes = Buffer.concat(parts)
      const [header, body] = [bytes.readUInt32LE(0), bytes.readUInt32LE(4)]
      if (header > MAX_HEADER || body > MAX_BODY) throw new EngineFailure('a frame between processes is too large')
      wanted = 8 + header + body
      parts = [bytes]
      if (size < wanted) break
      const json = JSON.parse(bytes.toString('utf8', 8, 8 + header)) as Record<string, unknown>
      yield { header: json, body: bytes.subarray(8 + header, wanted) }
      parts = [bytes.subarray(wanted)]
      size -= wanted
      wanted = 8
    }
  }
  if (size > 0) throw new EngineFailure('a pipe between processes ended inside a frame')
}
