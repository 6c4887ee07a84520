import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateRsa, rsaDecrypt, rsaEncrypt, type RsaKey } from '../src/crypto/rsa.ts'
import { openSqliteRecords } from '../src/store/sqlite-records.ts'
import { ADMIN, startCloud, type Cloud } from '../test/keyvault/cloud.fixture.ts'
import type { Figure } from './figure.ts'
import type { Load, LoadResult } from './load/post-client.ts'

const REQUESTS = 4000
const HOST = 'kv-bench.vault.localhost'
const ALG = 'RSA-OAEP-256'

/**
 * wrapKey and unwrapKey through HTTPS, with permission check and durable audit record, against two bare figures: the key operation
 * alone with all cores to itself ("bare"), and a node:https server that does nothing but the operation ("bare HTTPS"). Both servers
 * run in this process and are asked by the same client in a process of its own, which shares the cores with them.
 */
export async function figures(): Promise<Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), 'ownkey-bench-'))
  const cloud = await startCloud(await openSqliteRecords(join(folder, 'records.db')))
  try {
    await cloud.vault('kv-bench')
    await cloud.keys('kv-bench').createRsaKey('k')
    const value = randomBytes(64).toString('base64url')
    const wrapped = await cloud.call('kv-bench', 'POST', '/keys/k/wrapkey', { body: { alg: ALG, value } })
    const token = await cloud.token(ADMIN)
    const load = (operation: string, text: string, connections: number): Load => ({
      port: cloud.port,
      host: HOST,
      ca: cloud.server.certificates.caPem,
      path: `/keys/k/${operation}?api-version=7.6`,
      token,
      body: JSON.stringify({ alg: ALG, value: text }),
      connections,
      requests: REQUESTS,
    })
    const rows: Figure[] = []
    const key = await generateRsa(2048)
    for (const connections of [1, 32]) {
      const bare = await bareUnwraps(key, connections)
      const unwrap = load('unwrapkey', wrapped.body.value, connections)
      const https = await bareHttps(cloud, key, unwrap)
      rows.push({ name: `RSA unwrap, bare, ${connections} at a time`, value: bare, unit: '/s' })
      rows.push({ ...rateOf('bare HTTPS', unwrap, https), ratio: rate(https) / bare, against: 'bare' })
      const result = await client(unwrap)
      rows.push({ ...rateOf('unwrapkey', unwrap, result), ratio: rate(result) / bare, against: 'bare' })
      rows.push({ ...rateOf('unwrapkey', unwrap, result), ratio: rate(result) / rate(https), against: 'bare HTTPS' })
      rows.push(...percentiles('unwrapkey', unwrap, result))
      const wrap = load('wrapkey', value, connections)
      const wraps = await client(wrap)
      rows.push(rateOf('wrapkey', wrap, wraps), ...percentiles('wrapkey', wrap, wraps))
    }
    rows.push({ name: 'memory of the server', value: process.memoryUsage.rss() / 2 ** 20, unit: 'MiB' })
    return rows
  } finally {
    await cloud.close()
    await rm(folder, { recursive: true })
  }
}

async function bareUnwraps(key: RsaKey, width: number): Promise<number> {
  const wrapped = await rsaEncrypt(ALG, key, randomBytes(64))
  const run = async (count: number): Promise<void> => {
    for (let done = 0; done < count; done++) await rsaDecrypt(ALG, key, wrapped)
  }
  const many = (count: number) => Promise.all(Array.from({ length: width }, () => run(Math.ceil(count / width))))
  await many(200)
  const start = performance.now()
  await many(REQUESTS)
  return REQUESTS / ((performance.now() - start) / 1000)
}

/** The least that an HTTPS server in this runtime can do for an unwrap: no permissions, no records, no audit. */
async function bareHttps(cloud: Cloud, key: RsaKey, load: Load): Promise<LoadResult> {
  const { certificatePem: cert, keyPem } = cloud.server.certificates
  const wrapped = await rsaEncrypt(ALG, key, randomBytes(64))
  const server = createServer({ cert, key: keyPem }, (incoming, outgoing) => {
    incoming.resume().once('end', () => {
      void rsaDecrypt(ALG, key, wrapped).then(value => {
        const body = JSON.stringify({ value: value.toString('base64url') })
        outgoing.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
        outgoing.end(body)
      })
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  try {
    return await client({ ...load, port: (server.address() as AddressInfo).port })
  } finally {
    server.close()
  }
}

function rate({ seconds }: LoadResult): number {
  return REQUESTS / seconds
}

function label(operation: string, { connections }: Load): string {
  return `${operation} over HTTPS, ${connections} connection${connections === 1 ? '' : 's'}`.replace('HTTPS over ', '')
}

function rateOf(operation: string, load: Load, result: LoadResult): Figure {
  return { name: label(operation, load), value: rate(result), unit: '/s' }
}

function percentiles(operation: string, load: Load, { latencies }: LoadResult): Figure[] {
  const sorted = latencies.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0
  return [50, 99].map(p => ({ name: `${label(operation, load)}, p${p}`, value: at(p / 100), unit: 'ms' }))
}

/** In a process of its own: its work must not count as the server's. */
function client(load: Load): Promise<LoadResult> {
  return new Promise((resolve, reject) => {
    const child = fork(new URL('load/post-client.ts', import.meta.url), { execArgv: [] })
    child.once('message', result => resolve(result as LoadResult))
    child.once('error', reject)
    child.once('exit', code => reject(new Error(`The client ended with ${code} before its result.`)))
    child.send(load)
  })
}
