import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { getFips } from 'node:crypto'
import { PassThrough, type Readable, type Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { EngineLost, type LossReason } from './failures.ts'
import type { Frame } from './frames.ts'
import { readFrames, writeFrame } from './frames.ts'
import { PATIENCE, watchLife, type LifeWatch, type Patience } from './life-watch.ts'
import { oomBetween, readOomKills } from './oom-kills.ts'
import { LIFE_FD } from './sign-of-life.ts'

/** How a process ended; `how` goes on from "the process ...". */
export interface EngineEnd {
  readonly reason: LossReason
  readonly how: string
}

/** A child process that runs native engine code: it may abort or hang at any time, and nothing of it stays behind. */
export interface EngineProcess {
  readonly pid: number
  /** @throws EngineLost */
  send(header: unknown, body?: Uint8Array): Promise<void>
  /** The next frame that it sends. @throws EngineLost when it is gone, or hung and was therefore ended */
  next(): Promise<Frame<Record<string, unknown>>>
  /** Resolves when the process is gone, with why. */
  readonly ended: Promise<EngineEnd>
  kill(): void
}

const STDERR_TAIL = 2000
const isFips = getFips() === 1
const NODE_FLAGS = ['--no-warnings', '--disable-sigusr1', ...(isFips ? ['--enable-fips'] : [])]
/**
 * No core dump: customers' data lies in its memory. When memory runs out, the kernel takes an engine before the service:
 * https://man7.org/linux/man-pages/man5/proc_pid_oom_score_adj.5.html. It ends with its parent from its first moment on, also where it is
 * stopped before it can see to that itself (sign-of-life.ts): https://man7.org/linux/man-pages/man1/setpriv.1.html, where there is one.
 */
const PREPARE = [
  'ulimit -c 0; { echo 500 >/proc/self/oom_score_adj; } 2>/dev/null',
  'if setpriv --pdeathsig KILL true 2>/dev/null; then exec setpriv --pdeathsig KILL "$0" "$@"; fi',
  'exec "$0" "$@"',
].join('\n')
/** What is read of a process after its end, and how long one may live whose pipe is closed. */
const GRACE_MS = 1000
const OUT_OF_MEMORY = /heap out of memory|bad_alloc|cannot allocate memory|allocation failed|failed to allocate/i

/** The same FIPS provider as its parent's, where that is on one. */
function fipsEnvironment(): NodeJS.ProcessEnv {
  const { OPENSSL_CONF, OPENSSL_MODULES } = process.env
  return isFips ? { OPENSSL_CONF, OPENSSL_MODULES } : {}
}

/** Where the launcher keeps what Node.js has compiled: half of a child's start. */
function compileCache(): NodeJS.ProcessEnv {
  const { NODE_COMPILE_CACHE } = process.env
  return NODE_COMPILE_CACHE ? { NODE_COMPILE_CACHE } : {}
}

/**
 * Starts `file` (a `*.child.ts`) with an empty environment, without core dumps, in a process group of its own: what a terminal sends to
 * the service's group does not end it before its work is kept. Data goes in through stdin and comes back through fd 3, never through
 * arguments, environment or files; on fd 4 it says that it lives.
 */
export function startEngineProcess(file: URL, what: string, patience: Patience = PATIENCE): EngineProcess {
  const child: ChildProcess = spawn('/bin/sh', ['-c', PREPARE, process.execPath, ...NODE_FLAGS, fileURLToPath(file)], {
    env: { PATH: '/usr/bin:/bin', LANG: 'C.UTF-8', ...compileCache(), ...fipsEnvironment() },
    stdio: ['pipe', 'ignore', 'pipe', 'pipe', 'pipe'],
    detached: true,
  })
  const [stdin, output, life] = pipesOf(child)
  let ours: EngineEnd | undefined
  const kill = (end: EngineEnd): void => {
    ours ??= end
    killGroup(child)
  }
  const watch = watchLife(patience, how => kill({ reason: 'hung', how }))
  life.on('data', (bytes: Buffer) => watch.sign(bytes.includes('p')))
  const ended = endOf(child, () => ours, watch)
  const frames = readFrames(output)
  const lost = async (): Promise<EngineLost> => {
    const timer = setTimeout(kill, GRACE_MS, { reason: 'crashed', how: 'closed its pipe and was ended' })
    const { reason, how } = await ended
    clearTimeout(timer)
    return new EngineLost(reason, `the ${what} ${how}`)
  }
  return {
    pid: child.pid ?? -1,
    send: async (header, body) => {
      try {
        await writeFrame(stdin, header, body)
      } catch {
        throw await lost()
      }
    },
    next: async () => {
      watch.waited(true)
      const { value, done } = await frames.next().catch(() => ({ value: undefined, done: true as const }))
      watch.waited(false)
      if (done !== true) return value
      throw await lost()
    },
    ended,
    kill: () => kill({ reason: 'killed', how: 'was ended' }),
  }
}

/**
 * What leads into it, out of it, and its signs of life. Where this process may open no more files there is none, though Node.js says
 * otherwise: such a process is one that has ended.
 */
function pipesOf(child: ChildProcess): [Writable, Readable, Readable] {
  const { stdin, stdio } = child as Partial<ChildProcess>
  const ended = (): PassThrough => new PassThrough().destroy()
  const [into, out, life] = [stdin ?? ended(), stdio?.[3] ?? ended(), stdio?.[LIFE_FD] ?? ended()]
  // The reason shows in `ended`; a write to a process that is gone must not end ours.
  for (const stream of [into, out, life, child.stderr]) stream?.on('error', () => undefined)
  return [into, out as Readable, life as Readable]
}

/** Its whole group: an engine may have started helpers. */
function killGroup(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    child.kill('SIGKILL')
  }
}

function endOf(child: ChildProcess, ours: () => EngineEnd | undefined, watch: LifeWatch): Promise<EngineEnd> {
  const kills = readOomKills()
  let tail = ''
  child.stderr?.on('data', chunk => {
    tail = (tail + String(chunk)).slice(-STDERR_TAIL)
  })
  return new Promise(resolve => {
    const end = (code: number | null, signal: string | null): void => {
      watch.stop()
      const oom = signal === 'SIGKILL' ? oomBetween(kills, readOomKills()) : false
      resolve(ours() ?? theirEnd(code, signal, tail, oom))
    }
    child.on('error', error => {
      watch.stop()
      resolve({ reason: 'crashed', how: `could not start: ${error.message}` })
    })
    child.on('close', end)
    // What nobody reads keeps a pipe open.
    child.on('exit', (code, signal) => void setTimeout(end, GRACE_MS, code, signal).unref())
  })
}

/** @param oom whether the kernel ended processes for want of memory meanwhile; undefined: it does not say */
function theirEnd(code: number | null, signal: string | null, stderr: string, oom: boolean | undefined): EngineEnd {
  if (oom === true) return { reason: 'memory', how: 'was ended by the kernel, because memory ran out' }
  const own = OUT_OF_MEMORY.test(stderr)
  const how = signal === null ? `ended with code ${code}` : `was ended by ${signal}`
  if (own) return { reason: 'memory', how: `${how}, because memory ran out` }
  const maybe = signal === 'SIGKILL' && oom === undefined ? ', which may mean that memory ran out' : ''
  if (signal === 'SIGKILL') return { reason: 'killed', how: `${how}, from outside this service${maybe}` }
  const assertion = /GGML_ASSERT\([^)\n]{0,200}\)|Error: [^\n]{0,200}/.exec(stderr)?.[0]
  return { reason: 'crashed', how: assertion === undefined ? how : `${how} (${assertion})` }
}
