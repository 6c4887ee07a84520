import type { ChildProcess } from 'node:child_process'
import { PassThrough, type Readable, type Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { fillCompileCache } from './compile-cache.ts'
import type { GpuVariant } from './engine-settings.ts'
import { EngineLost, type LossReason } from './failures.ts'
import type { Frame } from './frames.ts'
import { readFrames, writeFrame } from './frames.ts'
import { PATIENCE, watchLife, type Patience } from './life-watch.ts'
import { defaultMemoryLimit, watchMemory } from './memory-limit.ts'
import { oomBetween, readOomKills } from './oom-kills.ts'
import { LIFE_FD } from './sign-of-life.ts'
import { spawnEngine } from './spawn-engine.ts'

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
/** How long a process may live after its pipe was closed, and its output is read after its end. */
const GRACE_MS = 1000
const OUT_OF_MEMORY = /heap out of memory|bad_alloc|cannot allocate memory|allocation failed|failed to allocate/i

export interface EngineProcessOptions {
  readonly patience?: Patience
  /** Files that it may read, besides the program's own. */
  readonly reads?: readonly string[]
  /** Bytes of its own that it may use; see memory-limit.ts for the default. */
  readonly memory?: number | undefined
  /** Whose devices it may use. */
  readonly gpu?: GpuVariant
}

/**
 * Starts `file` (a `*.child.ts`) with an empty environment, without core dumps, and with its rights taken away (sandbox/launch.child.ts).
 * It has a process group of its own, so a signal from the terminal to the service's group does not end it before its work is kept. Data
 * goes in through stdin and comes back through fd 3, never through arguments, environment or files. fd 4 carries its signs of life.
 */
export function startEngineProcess(file: URL, what: string, options: EngineProcessOptions = {}): EngineProcess {
  const { patience = PATIENCE, reads = [], memory = defaultMemoryLimit(), gpu = 'cpu' } = options
  const child = spawnEngine(fileURLToPath(file), { reads, memory, gpu })
  fillCompileCache()
  const [stdin, output, life] = pipesOf(child)
  let ours: EngineEnd | undefined
  const kill = (end: EngineEnd): void => {
    ours ??= end
    killGroup(child)
  }
  const watch = watchLife(patience, how => kill({ reason: 'hung', how }))
  const size = watchMemory(child.pid, memory, how => kill({ reason: 'memory', how }))
  life.on('data', (bytes: Buffer) => watch.sign(bytes.includes('p')))
  const ended = endOf(
    child,
    () => ours,
    () => [watch, size].forEach(one => one.stop()),
  )
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

function endOf(child: ChildProcess, ours: () => EngineEnd | undefined, stopWatching: () => void): Promise<EngineEnd> {
  const kills = readOomKills()
  let tail = ''
  child.stderr?.on('data', chunk => {
    tail = (tail + String(chunk)).slice(-STDERR_TAIL)
  })
  return new Promise(resolve => {
    const end = (code: number | null, signal: string | null): void => {
      stopWatching()
      const oom = signal === 'SIGKILL' ? oomBetween(kills, readOomKills()) : false
      resolve(ours() ?? theirEnd(code, signal, tail, oom))
    }
    child.on('error', error => {
      stopWatching()
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
