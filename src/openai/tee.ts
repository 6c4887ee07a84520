import { once } from 'node:events'
import { PassThrough, type Readable } from 'node:stream'

/**
 * Lets `watch` read the same bytes while they pass, so one pass over an upload serves sealing and checking. Call `stop` when nobody
 * will read `passing`. `watched` then rejects; otherwise it would wait for ever.
 */
export function tee<T>(
  source: AsyncIterable<Uint8Array>,
  watch: (copy: Readable) => Promise<T>,
): { passing: AsyncGenerator<Uint8Array>; watched: Promise<T>; stop: () => void } {
  const copy = new PassThrough()
  // A watcher that ends early must not hold up the bytes, and a source that fails ends the watcher.
  copy.on('error', () => copy.destroy())
  const watched = watch(copy).finally(() => copy.destroy())
  watched.catch(() => copy.destroy())
  const stop = (): void => {
    if (!copy.writableEnded) copy.destroy(new Error('The bytes ended early.'))
  }
  async function* pass(): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of source) {
        if (!copy.destroyed && !copy.write(chunk)) await drained(copy)
        yield chunk
      }
      copy.end()
    } catch (error) {
      copy.destroy(error as Error)
      throw error
    } finally {
      stop()
    }
  }
  return { passing: pass(), watched, stop }
}

/** Resolves when the copy takes more, or has ended. It removes its listeners. */
async function drained(copy: PassThrough): Promise<void> {
  const done = new AbortController()
  const { signal } = done
  try {
    await Promise.race([once(copy, 'drain', { signal }), once(copy, 'close', { signal })])
  } catch {
    // A watcher that ends early breaks the copy off, which is not an error of the bytes.
  } finally {
    done.abort()
  }
}
