import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { generateRsa, rsaDecrypt, rsaEncrypt } from '../src/crypto/rsa.ts'
import { openSqliteRecords } from '../src/store/sqlite-records.ts'
import { ADMIN, startCloud, type Cloud } from '../test/keyvault/cloud.fixture.ts'
import type { Figure } from './figure.ts'
import type { Load, LoadResult } from './load/post-client.ts'

const REQUESTS = 2000

/** unwrapKey and wrapKey through HTTPS, with permission check and durable audit record, against the bare operation. */
export async function figures(): Promise<Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), 'ownkey-bench-'))
  const cloud = await startCloud(await openSqliteRecords(join(folder, 'records.db')))
  try {
    await cloud.vault('kv-bench')
    await cloud.keys('kv-bench').createRsaKey('k')
    const value = randomBytes(64).toString('base64url')
    const alg = 'RSA-OAEP-256'
    const wrapped = await cloud.call('kv-bench', 'POST', '/keys/k/wrapkey', { body: { alg, value } })
    const rows: Figure[] = []
    for (const connections of [1, 32]) {
      const raw = await rawUnwraps(connections)
      rows.push({ name: `RSA unwrap, bare, ${connections} at a time`, value: raw, unit: '/s' })
      const unwrap = JSON.stringify({ alg, value: wrapped.body.value })
      rows.push(...(await overHttps(cloud, 'unwrapkey', unwrap, connections, raw)))
      rows.push(...(await overHttps(cloud, 'wrapkey', JSON.stringify({ alg, value }), connections)))
    }
    rows.push({ name: 'memory of server and clients', value: process.memoryUsage.rss() / 2 ** 20, unit: 'MiB' })
    return rows
  } finally {
    await cloud.close()
    await rm(folder, { recursive: true })
  }
}

async function rawUnwraps(width: number): Promise<number> {
  const key = await generateRsa(2048)
  const wrapped = await rsaEncrypt('RSA-OAEP-256', key, randomBytes(64))
  const run = async (count: number): Promise<void> => {
    for (let done = 0; done < count; done++) await rsaDecrypt('RSA-OAEP-256', key, wrapped)
  }
  const many = (count: number) => Promise.all(Array.from({ length: width }, () => run(Math.ceil(count / width))))
  await many(200)
  const start = performance.now()
  await many(REQUESTS)
  return REQUESTS / ((performance.now() - start) / 1000)
}

async function overHttps(
  cloud: Cloud,
  operation: string,
  body: string,
  connections: number,
  raw?: number,
): Promise<Figure[]> {
  const load: Load = {
    port: cloud.port,
    host: 'kv-bench.vault.localhost',
    ca: cloud.server.certificates.caPem,
    path: `/keys/k/${operation}?api-version=7.6`,
    token: await cloud.token(ADMIN),
    body,
    connections,
    requests: REQUESTS,
  }
  const { seconds, latencies } = await client(load)
  const sorted = latencies.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0
  const rate = REQUESTS / seconds
  const name = `${operation} over HTTPS, ${connections} connection${connections === 1 ? '' : 's'}`
  return [
    { name, value: rate, unit: '/s', ...(raw === undefined ? {} : { ratio: rate / raw, against: 'bare' }) },
    { name: `${name}, p50`, value: at(0.5), unit: 'ms' },
    { name: `${name}, p99`, value: at(0.99), unit: 'ms' },
  ]
}

/** In a thread of its own: its work must not count as the server's. */
function client(load: Load): Promise<LoadResult> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('load/post-client.ts', import.meta.url), { workerData: load })
    worker.once('message', resolve)
    worker.once('error', reject)
  })
}
