/** An engine that was taken over: it tries what the first frame names, and answers how each attempt ended. */
import { execFileSync } from 'node:child_process'
import { createWriteStream, openSync, readdirSync, readFileSync, readSync, unlinkSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import koffi, { type KoffiFunc } from 'koffi'
import { readFrames, writeFrame } from '../../src/engines/frames.ts'
import { beginLife } from '../../src/engines/sign-of-life.ts'

beginLife()

export interface Attempt {
  readonly how: keyof typeof WAYS
  readonly what?: string | number
}

const call = koffi
  .load(null)
  .func('long syscall(long number, long a, long b, long c, long d, long e, long f)') as KoffiFunc<
  (...words: number[]) => number
>
const threaded = promisify(call.async as (...words: unknown[]) => void) as (...words: unknown[]) => Promise<number>
/** AF_INET and SOCK_STREAM for the calls that take them. */
const WORDS = [2, 1, 0, 0, 0, 0]
const ERRORS = new Map([
  [1, 'EPERM'],
  [13, 'EACCES'],
  [38, 'ENOSYS'],
])

/** Each resolves when it succeeded. */
const WAYS = {
  read: (path: string) => readFileSync(path),
  list: (path: string) => readdirSync(path),
  write: (path: string) => writeFileSync(path, 'written by an engine'),
  remove: (path: string) => unlinkSync(path),
  memory: (pid: number) => readSync(openSync(`/proc/${pid}/mem`, 'r'), Buffer.alloc(1), 0, 1, 0x1000),
  run: (path: string) => execFileSync(path, ['--version']),
  signal: (pid: number) => process.kill(pid, 0),
  connect: (port: number) =>
    new Promise((resolve, reject) => connect(port, '127.0.0.1', () => resolve(undefined)).once('error', reject)),
  unix: (path: string) =>
    new Promise((resolve, reject) => connect(path, () => resolve(undefined)).once('error', reject)),
  /** A system call by its number. */
  call: (number: number) => {
    if (call(number, ...WORDS) >= 0) return
    const errno = koffi.errno()
    const code = ERRORS.get(errno) ?? `errno ${errno}`
    throw Object.assign(new Error(code), { code })
  },
  /** The same from a thread of libuv's pool, which has its own errno. */
  threadsCall: async (number: number) => {
    if ((await threaded(number, ...WORDS)) < 0) throw Object.assign(new Error('refused'), { code: 'refused' })
  },
  /** From another thread of Node.js. */
  worker: (path: string) =>
    new Promise((resolve, reject) => {
      const source = `require('node:child_process').execFileSync(${JSON.stringify(path)})`
      new Worker(source, { eval: true }).once('error', reject).once('exit', resolve)
    }),
} as const

async function outcome({ how, what }: Attempt): Promise<string> {
  try {
    await (WAYS[how] as (given: unknown) => unknown)(what)
    return 'done'
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error)
  }
}

const output = createWriteStream('', { fd: 3 })
for await (const { header } of readFrames(process.stdin)) {
  const outcomes: string[] = []
  for (const attempt of header['attempts'] as Attempt[]) outcomes.push(await outcome(attempt))
  await writeFrame(output, { outcomes, environment: process.env, groups: process.getgroups?.() })
}
