import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { getFips } from 'node:crypto'
import type { Readable, Writable } from 'node:stream'
import type { Frame } from './frames.ts'
import { readFrames, writeFrame } from './frames.ts'

/** A child process that runs native engine code: it may abort at any time, and nothing of it stays behind. */
export interface EngineProcess {
  readonly pid: number
  send(header: unknown, body?: Uint8Array): Promise<void>
  readonly frames: AsyncGenerator<Frame<Record<string, unknown>>>
  /** Resolves when the process is gone, with why. */
  readonly ended: Promise<string>
  kill(): void
}

const STDERR_TAIL = 2000
const isFips = getFips() === 1
const NODE_FLAGS = ['--no-warnings', '--disable-sigusr1', ...(isFips ? ['--enable-fips'] : [])]

/** The same FIPS provider as its parent's, where that is on one. */
function fipsEnvironment(): NodeJS.ProcessEnv {
  const { OPENSSL_CONF, OPENSSL_MODULES } = process.env
  return isFips ? { OPENSSL_CONF, OPENSSL_MODULES } : {}
}

/**
 * Starts `file` (a `*.child.ts`) with an empty environment and without core dumps: customers' data lies in its memory.
 * Data goes in through stdin and comes back through fd 3, never through arguments, environment or files.
 */
export function startEngineProcess(file: URL): EngineProcess {
  const script = 'ulimit -c 0; exec "$0" "$@"'
  const child: ChildProcess = spawn('/bin/sh', ['-c', script, process.execPath, ...NODE_FLAGS, file.pathname], {
    env: { PATH: '/usr/bin:/bin', LANG: 'C.UTF-8', ...fipsEnvironment() },
    stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
  })
  const [stdin, output] = [child.stdin as Writable, child.stdio[3] as Readable]
  // The reason shows in `ended`; a write to a process that is gone must not end ours.
  stdin.on('error', () => undefined)
  output.on('error', () => undefined)
  let tail = ''
  child.stderr?.on('data', chunk => {
    tail = (tail + String(chunk)).slice(-STDERR_TAIL)
  })
  const ended = new Promise<string>(resolve => {
    child.on('error', error => resolve(`could not start: ${error.message}`))
    child.on('close', (code, signal) => {
      const assertion = /GGML_ASSERT\([^)\n]{0,200}\)|Error: [^\n]{0,200}/.exec(tail)?.[0]
      const how = signal === null ? `ended with code ${code}` : `was ended by ${signal}`
      resolve(assertion === undefined ? how : `${how} (${assertion})`)
    })
  })
  return {
    pid: child.pid ?? -1,
    send: (header, body) => writeFrame(stdin, header, body),
    frames: readFrames(output),
    ended,
    kill: () => child.kill('SIGKILL'),
  }
}
