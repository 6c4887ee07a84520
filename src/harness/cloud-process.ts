import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { readEndpoints, type Endpoints } from '../base/endpoints.ts'
import { resolveLocalNames } from '../http/local-names.mjs'

const cli = fileURLToPath(new URL('../cli.ts', import.meta.url))
const START_TIMEOUT_MS = 60_000

/** A cloud in a process of its own, as `./ownkey start` runs it. */
export interface CloudProcess {
  readonly endpoints: Endpoints
  readonly pid: number
  /** Milliseconds from start to ready. */
  readonly startMs: number
  /** Ends it cleanly; resolves to the exit code, null when it had to be killed. */
  stop(): Promise<number | null>
  /** SIGKILL: leaves what a crash leaves. */
  kill(): Promise<void>
  /** Resolves to the exit code when it has ended for whatever reason; null after a signal. */
  readonly ended: Promise<number | null>
}

/** Starts a cloud in the folder and makes this process trust its CA and find its names. */
export async function startCloudProcess(dataDir: string, args: readonly string[] = []): Promise<CloudProcess> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  const log = await open(join(dataDir, 'service.log'), 'a', 0o600)
  const started = performance.now()
  const port = args.includes('--port') ? [] : ['--port', '0']
  const child = spawn(process.execPath, [cli, 'start', '--data-dir', dataDir, ...port, ...args], {
    stdio: ['ignore', log.fd, log.fd],
  })
  await log.close()
  const ended = new Promise<number | null>(resolve => child.once('exit', resolve))
  const endpoints = await ready(child, dataDir)
  resolveLocalNames()
  setDefaultCACertificates([...getCACertificates('default'), await readFile(endpoints.caCertificate, 'utf8')])
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
  const startMs = performance.now() - started
  return { endpoints, pid: child.pid ?? 0, startMs, stop: () => stop(child), kill, ended }
}

async function ready(child: ChildProcess, dataDir: string): Promise<Endpoints> {
  const deadline = Date.now() + START_TIMEOUT_MS
  while (Date.now() < deadline) {
    if (child.exitCode !== null)
      throw new Error(`The cloud ended at once (exit ${child.exitCode}):\n${await lastWords(dataDir)}`)
    const endpoints = await readEndpoints(dataDir).catch(() => undefined)
    if (endpoints !== undefined && (await answers(endpoints.instanceMetadata))) return endpoints
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  child.kill('SIGKILL')
  throw new Error(`The cloud was not ready after ${START_TIMEOUT_MS / 1000} s:\n${await lastWords(dataDir)}`)
}

/** The last lines of the cloud's log. They are part of the error, since its folder may soon be gone. */
async function lastWords(dataDir: string): Promise<string> {
  const log = await readFile(join(dataDir, 'service.log'), 'utf8')
  return log.trimEnd().split('\n').slice(-8).join('\n')
}

/** Endpoints of this process: the file of an earlier run may lie there until it is replaced. */
async function answers(url: string): Promise<boolean> {
  return fetch(`${url}/ca.pem`).then(
    response => response.ok,
    () => false,
  )
}

async function stop(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 15_000)
  await ended
  clearTimeout(timer)
  return child.exitCode
}
