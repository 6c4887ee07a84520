import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import type { Endpoints } from '../../src/base/endpoints.ts'
import type { Full } from './fill.ts'

/** What another client sees meanwhile, and what the service uses. */
export interface Sample {
  readonly requests: number
  readonly failed: number
  /** Milliseconds. */
  readonly median: number
  readonly p99: number
  readonly slowest: number
  /** Resident memory of the service itself, in MiB; engines apart. */
  readonly mebibytes: number
  readonly openFiles: number
}

/** A client that asks one small thing again and again: the description of a file. */
export class SmallGets {
  readonly #worker: Worker
  readonly #pid: number

  constructor(endpoints: Endpoints, account: Full, pid: number) {
    this.#pid = pid
    const url = `https://${account.name}${endpoints.openAiSuffix}/openai/v1/files/${account.file}`
    const workerData = { url, apiKey: account.apiKey, ca: readFileSync(endpoints.caCertificate, 'utf8') }
    this.#worker = new Worker(new URL('small-get.worker.ts', import.meta.url), { workerData })
  }

  /** Over so many seconds from now. */
  async sample(seconds: number): Promise<Sample> {
    await this.#take()
    await new Promise(resolve => setTimeout(resolve, seconds * 1000))
    const { taken, failed } = await this.#take()
    const sorted = taken.toSorted((a, b) => a - b)
    const at = (share: number): number => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
    return {
      requests: sorted.length,
      failed,
      median: at(0.5),
      p99: at(0.99),
      slowest: at(1),
      mebibytes: residentMebibytes(this.#pid),
      openFiles: readdirSync(`/proc/${this.#pid}/fd`).length,
    }
  }

  async stop(): Promise<void> {
    await this.#worker.terminate()
  }

  async #take(): Promise<{ taken: number[]; failed: number }> {
    const answer = once(this.#worker, 'message') as Promise<[{ taken: number[]; failed: number }]>
    this.#worker.postMessage('take')
    return (await answer)[0]
  }
}

export function residentMebibytes(pid: number): number {
  const kibibytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kibibytes) / 1024
}
