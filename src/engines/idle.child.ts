/** For tests: an engine that does what the first frame's `type` says, and nothing else. */
import { createWriteStream } from 'node:fs'
import { readFrames, writeFrame } from './frames.ts'
import { beginLife, getsOn } from './sign-of-life.ts'

beginLife()
const output = createWriteStream('', { fd: 3 })
for await (const { header } of readFrames(process.stdin)) {
  const { type } = header
  // Alive, but without progress.
  if (type === 'stuck') continue
  if (type === 'slow') {
    for (let n = 0; n < 8; n += 1) {
      getsOn()
      await new Promise(resolve => setTimeout(resolve, 1000))
    }
    await writeFrame(output, { type: 'done' })
  }
  // Its event loop is blocked, as in a long computation.
  if (type === 'hangs') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  if (type === 'throws') throw new Error('so be it')
  // Its memory grows, or it asks for all at once.
  if (type === 'grows')
    for (const kept: Buffer[] = []; ;) {
      kept.push(Buffer.alloc(16 * 1024 * 1024, 1))
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  if (type === 'takes') await writeFrame(output, { type: 'done', taken: new ArrayBuffer(8 * 1024 ** 3).byteLength })
  if (type === 'closes') output.destroy()
}
