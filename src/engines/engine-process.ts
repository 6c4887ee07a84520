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

/** How a process ended. `how` continues "the process ...". */
export interface EngineEnd {
  readonly reason: LossReason
  readonly how: string
}

/** A child process that runs native engine code. It may abort or hang at any time, and nothing of it is left. */
export interface EngineProcess {
  readonly pid: number
  /** @throws EngineLost */
  send(header: unknown, body?: Uint8Array): Promise<void>
  /** The next frame that it sends. @throws EngineLost when it is gone, or was ended because it hung */
  next(): Promise<Frame<Record<string, unknown>>>
  /** Resolves to the reason when the process is gone. */
  readonly ended: Promise<EngineEnd>
  kill(): void
}

const STDERR_TAIL = 2000
const isFips = getFips() === 1
const NODE_FLAGS = ['--no-warnings', '--disable-sigusr1', ...(isFips ? ['--enable-fips'] : [])]
/**
 * No core dump, since customers' data is in its memory. When memory runs out, the kernel ends an engine before the service:
 * https://man7.org/linux/man-pages/man5/proc_pid_oom_score_adj.5.html. Where setpriv is installed, it ends with its parent from the very
 * beginning, also while it is stopped (sign-of-life.ts does that later): https://man7.org/linux/man-pages/man1/setpriv.1.html
 */
const PREPARE = [
  'ulimit -c 0; { echo 500 >/proc/self/oom_score_adj; } 2>/dev/null',
  'if setpriv --pdeathsig KILL true 2>/dev/null; then exec setpriv --pdeathsig KILL "$0" "$@"; fi',
  'exec "$0" "$@"',
].join('\n')
/** How long a process may live after its pipe was closed, and its output is read after its end. */
const GRACE_MS = 1000
const OUT_OF_MEMORY = /heap out of memory|bad_alloc|cannot allocate memory|allocation failed|failed to allocate/i

/** The parent's FIPS provider, if it runs on one. */
function fipsEnvironment(): NodeJS.ProcessEnv {
  const { OPENSSL_CONF, OPENSSL_MODULES } = process.env
  return isFips ? { OPENSSL_CONF, OPENSSL_MODULES } : {}
}

/** The launcher's cache of what Node.js has compiled, which halves the time of a child's start. */
function compileCache(): NodeJS.ProcessEnv {
  const { NODE_COMPILE_CACHE } = process.env
  return NODE_COMPILE_CACHE ? { NODE_COMPILE_CACHE } : {}
}

/**
 * Starts `file` (a `*.child.ts`) with an empty environment and without core dumps. It has a process group of its own, so a signal from
 * the terminal to the service's group does not end it before its work is kept. Data goes in through stdin and comes back through fd 3,
 * never through arguments, environment or files. fd 4 carries its signs of life.
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
 * Its input, output and signs of life. Where this process can't open more files they are missing, though Node.js's types say otherwise;
 * such a child counts as ended.
 */
function pipesOf(child: ChildProcess): [Writable, Readable, Readable] {
  const { stdin, stdio } = child as Partial<ChildProcess>
  const ended = (): PassThrough => new PassThrough().destroy()
  const [into, out, life] = [stdin ?? ended(), stdio?.[3] ?? ended(), stdio?.[LIFE_FD] ?? ended()]
  // `ended` has the reason. A write to a process that is gone must not end ours.
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
    // Unread data would keep the pipe open.
    child.on('exit', (code, signal) => void setTimeout(end, GRACE_MS, code, signal).unref())
  })
}

/** @param oom whether the kernel ended processes meanwhile because memory ran out; undefined: not known */
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
