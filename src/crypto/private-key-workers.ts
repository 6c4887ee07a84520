import type { KeyObject } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'

export interface PrivateKeyJob {
  operation: 'decrypt' | 'encrypt'
  key: KeyObject
  /** One of node:crypto's RSA_*_PADDING constants. */
  padding: number
  input: Uint8Array
}

interface Thread {
  worker: Worker
  jobs: Map<number, PromiseWithResolvers<Uint8Array | undefined>>
}

/** Jobs that may wait at a time; each holds one RSA block. */
const MAX_WAITING = 10_000
const size = Math.min(availableParallelism(), 8)
const threads: Thread[] = []
let nextId = 0

function startThread(): Thread {
  // No execArgv: a preload of the parent is not for this thread.
  const worker = new Worker(new URL('private-key.child.ts', import.meta.url), { execArgv: [], name: 'private-key' })
  const thread: Thread = { worker, jobs: new Map() }
  worker.on('message', ({ id, output }: { id: number; output?: Uint8Array }) => {
    const job = thread.jobs.get(id)
    thread.jobs.delete(id)
    // An idle thread must not keep the process alive, a busy one must.
    if (thread.jobs.size === 0) worker.unref()
    job?.resolve(output)
  })
  const end = () => {
    const at = threads.indexOf(thread)
    if (at >= 0) threads.splice(at, 1)
    for (const job of thread.jobs.values()) job.reject(new Error('The thread of the private key ended: try again.'))
    thread.jobs.clear()
  }
  worker.on('error', end)
  worker.on('exit', end)
  threads.push(thread)
  return thread
}

/** Runs one RSA operation in a thread of its own pool. Undefined when OpenSSL refused it; the reason is withheld. */
export async function runPrivateKeyJob(job: PrivateKeyJob): Promise<Buffer | undefined> {
  const idle = threads.find(({ jobs }) => jobs.size === 0)
  const least = () => threads.reduce((a, b) => (b.jobs.size < a.jobs.size ? b : a))
  const thread = idle ?? (threads.length < size ? startThread() : least())
  if (thread.jobs.size >= MAX_WAITING)
    throw new RangeError('Too many private-key operations are waiting: try again later.')
  const id = nextId++
  thread.worker.ref()
  const done = Promise.withResolvers<Uint8Array | undefined>()
  thread.jobs.set(id, done)
  thread.worker.postMessage({ id, ...job }, [])
  const output = await done.promise
  return output && Buffer.from(output.buffer, output.byteOffset, output.byteLength)
}
