import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { readEndpoints, type Endpoints } from '../../src/base/endpoints.ts'
import { resolveLocalNames } from '../../src/http/local-names.mjs'

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
const START_MS = 60_000
const END_MS = 10_000
const POLL_MS = 20
/** An engine catches it from its beginning; Node.js itself does not. */
const SIGHUP_BIT = 1n << 0n

export interface Engine {
  readonly pid: number
  /** It has told the kernel to be ended with the service; before that it is given no data. */
  readonly isBegun: boolean
  readonly kind: 'trainer' | 'inference'
}

/** A cloud in a process group of its own, as a service manager runs it, which is to be killed at any moment. */
export class TortureCloud {
  readonly #child: ChildProcess
  readonly #dataDir: string
  readonly #logFrom: number

  constructor(dataDir: string, args: readonly string[], env: Readonly<Record<string, string>>) {
    const path = join(dataDir, 'service.log')
    const log = openSync(path, 'a', 0o600)
    this.#dataDir = dataDir
    this.#logFrom = statSync(path).size
    this.#child = spawn(process.execPath, [cli, 'start', '--data-dir', dataDir, ...args], {
      stdio: ['ignore', log, log],
      detached: true,
      env: { ...process.env, ...env },
    })
    closeSync(log)
  }

  static async in(
    dataDir: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<TortureCloud> {
    await mkdir(dataDir, { recursive: true, mode: 0o700 })
    return new TortureCloud(dataDir, args, env)
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** @throws Error with the end of its log when it ends instead, or is not ready in time */
  async ready(): Promise<Endpoints> {
    for (const deadline = Date.now() + START_MS; Date.now() < deadline;) {
      if (this.hasEnded) throw new Error(`the start ended (${this.#child.exitCode}): ${this.log().slice(-1500)}`)
      const endpoints = await readEndpoints(this.#dataDir).catch(() => undefined)
      if (endpoints !== undefined && (await answers(endpoints.instanceMetadata))) {
        resolveLocalNames()
        setDefaultCACertificates([...getCACertificates('default'), readFileSync(endpoints.caCertificate, 'utf8')])
        return endpoints
      }
      await pause(POLL_MS)
    }
    throw new Error(`it was not ready within ${START_MS / 1000} s: ${this.log().slice(-1500)}`)
  }

  /** What it wrote to its log since this start. */
  log(): string {
    return readFileSync(join(this.#dataDir, 'service.log')).subarray(this.#logFrom).toString()
  }

  /** Its processes that currently hold models. */
  engines(): Engine[] {
    return childrenOf(this.pid)
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.hasEnded) process.kill(this.pid, signal)
  }

  /** SIGKILL to the whole group. Resolves to what still runs although nobody is left who owns it. */
  async kill(): Promise<string[]> {
    const engines = this.hasEnded ? [] : this.engines()
    if (!this.hasEnded) {
      process.kill(-this.pid, 'SIGKILL')
      await once(this.#child, 'exit')
    }
    for (const deadline = Date.now() + END_MS; Date.now() < deadline; await pause(POLL_MS))
      if (engines.every(({ pid }) => !isRunning(pid))) return []
    const left = engines.filter(({ pid }) => isRunning(pid))
    for (const { pid } of left) process.kill(pid, 'SIGKILL')
    return left.map(({ kind }) => `the ${kind} lives on ${END_MS / 1000} s after the service was killed`)
  }

  /** SIGTERM. Resolves to what is wrong with its end. */
  async stop(): Promise<string[]> {
    if (this.hasEnded) return ['it had ended by itself']
    const exited = once(this.#child, 'exit')
    process.kill(this.pid, 'SIGTERM')
    const timer = setTimeout(() => this.signal('SIGKILL'), 30_000)
    await exited
    clearTimeout(timer)
    const code = this.#child.exitCode
    return code === 0 ? [] : [`SIGTERM ended it with ${code ?? this.#child.signalCode}`]
  }
}

const pause = (milliseconds: number): Promise<void> => new Promise(resolve => setTimeout(resolve, milliseconds))

async function answers(url: string): Promise<boolean> {
  return fetch(`${url}/ca.pem`, { signal: AbortSignal.timeout(2000) }).then(
    response => response.ok,
    () => false,
  )
}

function childrenOf(pid: number): Engine[] {
  return readdirSync('/proc').flatMap((name): Engine[] => {
    if (!/^\d+$/.test(name)) return []
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, 'utf8')
      const kind = /(trainer|inference)\.child/.exec(words)?.[1] as Engine['kind'] | undefined
      if (kind === undefined) return []
      // After the name in brackets: the state, then the parent.
      const parent = /\) \w (\d+)/.exec(readFileSync(`/proc/${name}/stat`, 'utf8'))?.[1]
      const caught = /^SigCgt:\s+([0-9a-f]+)$/m.exec(readFileSync(`/proc/${name}/status`, 'utf8'))?.[1] ?? '0'
      const isBegun = (BigInt(`0x${caught}`) & SIGHUP_BIT) !== 0n
      return Number(parent) === pid ? [{ pid: Number(name), kind, isBegun }] : []
    } catch {
      return []
    }
  })
}

/** A zombie does not: it only waits for its parent. */
function isRunning(pid: number): boolean {
  try {
    const state = /\) (\w)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1]
    return state !== 'Z' && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('.child')
  } catch {
    return false
  }
}
