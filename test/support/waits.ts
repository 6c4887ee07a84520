import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import type { Endpoints } from '../../src/base/endpoints.ts'

/** The longest allowed wait of others, in milliseconds, at the 99th percentile. */
const LIMIT = 50

/** The 99th percentile, in milliseconds, of somebody else's small requests while the work goes on. */
async function waitsOf(endpoints: Endpoints, work: () => Promise<unknown>): Promise<number> {
  const ca = await readFile(endpoints.caCertificate, 'utf8')
  const workerData = { url: `${endpoints.authority}/common/discovery/keys`, ca }
  const worker = new Worker(new URL('small-requests.worker.ts', import.meta.url), { workerData })
  await once(worker, 'online')
  await sleep(150)
  try {
    await work()
    await sleep(50)
    const answer = once(worker, 'message') as Promise<[number[]]>
    worker.postMessage('stop')
    const [taken] = await answer
    // The first opens the connection.
    const sorted = taken.slice(1).toSorted((a, b) => a - b)
    return sorted[Math.ceil(sorted.length * 0.99) - 1] ?? Infinity
  } finally {
    await worker.terminate()
  }
}

/**
 * Others wait less than 50 ms longer than on this machine without the work.
 * One of five tries must show it, so that other load on the machine does not decide.
 */
export async function othersWaitLittle(endpoints: Endpoints, work: () => Promise<unknown>): Promise<void> {
  const measured: string[] = []
  for (let attempt = 0; attempt < 5; attempt++) {
    const waited = await waitsOf(endpoints, work)
    if (waited < LIMIT) return
    const idle = await waitsOf(endpoints, () => sleep(500))
    if (waited < LIMIT + idle) return
    measured.push(`${Math.round(waited)} (idle ${Math.round(idle)})`)
  }
  assert.fail(`others waited ${measured.join(', ')} ms`)
}
