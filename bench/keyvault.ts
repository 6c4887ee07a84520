import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateRsa, rsaDecrypt, rsaEncrypt, type RsaKey } from '../src/crypto/rsa.ts'
import { administratorCredential, ArmClient, keyClient } from '../src/harness/azure-client.ts'
import { startCloudProcess, type CloudProcess } from '../src/harness/cloud-process.ts'
import { administratorObjectId } from '../src/harness/scene.ts'
import { systemEnv } from '../src/base/env.ts'
import { openCertificates } from '../src/http/certificates.ts'
import type { Figure } from './figure.ts'
import type { Load, LoadResult } from './load/post-client.ts'

const VAULT = 'kv-bench'
const ALG = 'RSA-OAEP-256'
/** The kinds take turns, so that other load on the machine affects all of them. The median of each counts. */
const ROUNDS = 5
const WARM_UP = 8000
const REQUESTS = { 1: 600, 32: 2000 } as const

type Width = keyof typeof REQUESTS
type Kind = 'bare' | 'bare HTTPS' | 'unwrapKey' | 'wrapKey'

/**
 * wrapKey and unwrapKey of a running cloud through HTTPS, with permission check and durable audit record, against two bare figures: the
 * key operation alone with all cores to itself ("bare"), and a node:https server that does nothing but the operation ("bare HTTPS").
 * Each server has a process of its own, and is asked by the same client in another one, which shares the cores with it.
 */
export async function figures(): Promise<Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), 'ownkey-bench-'))
  const cloud = await startCloudProcess(folder)
  const bare = await startBareServer(join(folder, 'bare'))
  try {
    const { wrapKey, unwrapKey } = await vaultLoads(cloud)
    const loads = {
      wrapKey: { load: wrapKey, pid: cloud.pid },
      unwrapKey: { load: unwrapKey, pid: cloud.pid },
      'bare HTTPS': { load: bare.load, pid: bare.child.pid ?? 0 },
    }
    const key = await generateRsa(2048)
    // In a service that runs for weeks the hot code is compiled, so this warms up.
    for (const { load } of Object.values(loads)) await client({ ...load, connections: 32, requests: WARM_UP })
    const rows: Figure[] = []
    for (const width of [1, 32] as const) rows.push(...(await figuresOf(width, loads, key)))
    rows.push({ name: `memory of the cloud after that`, value: await residentMiB(cloud.pid), unit: 'MiB' })
    return rows
  } finally {
    bare.child.kill()
    await cloud.stop()
    await rm(folder, { recursive: true })
  }
}

interface Target {
  readonly load: Load
  /** The server's. */
  readonly pid: number
}

interface Samples {
  readonly rates: number[]
  readonly latencies: number[]
  /** Microseconds a request, of all threads of server and client. */
  readonly cpu: number[]
}

async function figuresOf(
  width: Width,
  targets: Readonly<Record<Exclude<Kind, 'bare'>, Target>>,
  key: RsaKey,
): Promise<Figure[]> {
  const none = (): Samples => ({ rates: [], latencies: [], cpu: [] })
  const samples: Record<Kind, Samples> = { bare: none(), 'bare HTTPS': none(), unwrapKey: none(), wrapKey: none() }
  for (let round = 0; round <= ROUNDS; round++) {
    for (const kind of ['bare', 'bare HTTPS', 'unwrapKey', 'wrapKey'] as const) {
      const result = kind === 'bare' ? await bareUnwraps(key, width) : await loaded(targets[kind], width)
      // The first round warms up at this width.
      if (round === 0) continue
      samples[kind].rates.push(REQUESTS[width] / result.seconds)
      samples[kind].latencies.push(...result.latencies)
      samples[kind].cpu.push(result.cpu / REQUESTS[width])
    }
  }
  return rowsOf(width, samples)
}

/** The load on a server, with the CPU time that both used. */
async function loaded({ load, pid }: Target, width: Width): Promise<LoadResult> {
  const before = await cpuOf(pid)
  const result = await client({ ...load, connections: width, requests: REQUESTS[width] })
  return { ...result, cpu: result.cpu + (await cpuOf(pid)) - before }
}

/** Microseconds of CPU time of a process, in steps of 10 ms; 0 where the machine has no /proc. */
async function cpuOf(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // Behind the name in brackets: state, ten numbers, user and system time.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * 10_000
}

function rowsOf(width: Width, samples: Readonly<Record<Kind, Samples>>): Figure[] {
  const at = (kind: Kind): string => `${kind}, ${width} at a time`
  const rate = (kind: Kind, against?: Kind): Figure => ({
    name: at(kind),
    value: median(samples[kind].rates),
    unit: '/s',
    ...(against === undefined ? {} : { ratio: median(samples[kind].rates) / median(samples[against].rates), against }),
  })
  const time = (kind: Kind, share: number): Figure => ({
    name: `${at(kind)}, p${share * 100}`,
    value: quantile(samples[kind].latencies, share),
    unit: 'ms',
  })
  // The machine's capacity, which depends less on other load than rates do.
  const cpu = (kind: Kind): Figure => ({
    name: `${at(kind)}, CPU of server and client`,
    value: median(samples[kind].cpu),
    unit: 'us',
    ...(kind === 'bare' ? {} : { ratio: median(samples.bare.cpu) / median(samples[kind].cpu), against: 'bare' }),
  })
  return [
    rate('bare'),
    rate('bare HTTPS', 'bare'),
    rate('unwrapKey', 'bare'),
    rate('unwrapKey', 'bare HTTPS'),
    time('unwrapKey', 0.5),
    time('unwrapKey', 0.99),
    rate('wrapKey'),
    time('wrapKey', 0.5),
    time('wrapKey', 0.99),
    ...(['bare', 'bare HTTPS', 'unwrapKey', 'wrapKey'] as const).map(cpu),
  ]
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length * share)] ?? 0
}

function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

async function bareUnwraps(key: RsaKey, width: Width): Promise<LoadResult> {
  const wrapped = await rsaEncrypt(ALG, key, randomBytes(64))
  let left: number = REQUESTS[width]
  const run = async (): Promise<void> => {
    while (left-- > 0) await rsaDecrypt(ALG, key, wrapped)
  }
  const before = process.cpuUsage()
  const start = performance.now()
  await Promise.all(Array.from({ length: Math.min(width, 4 * availableParallelism()) }, run))
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(before)
  return { seconds, latencies: [], cpu: user + system }
}

async function vaultLoads({ endpoints }: CloudProcess): Promise<Record<'unwrapKey' | 'wrapKey', Load>> {
  const credential = administratorCredential(endpoints)
  const arm = new ArmClient(endpoints, credential)
  const { tenantId, location } = endpoints
  const objectId = await administratorObjectId(endpoints)
  await arm.call('PUT', '/resourceGroups/bench', '2025-04-01', { location })
  const path = `/resourceGroups/bench/providers/Microsoft.KeyVault/vaults/${VAULT}`
  const accessPolicies = [{ tenantId, objectId, permissions: { keys: ['all'] } }]
  const properties = { tenantId, sku: { family: 'A', name: 'standard' }, accessPolicies }
  await arm.call('PUT', path, '2023-07-01', { location, properties })
  await keyClient(endpoints, credential, VAULT).createRsaKey('k')
  const scope = `https://vault${endpoints.keyVaultSuffix.replace(/^\.vault/, '')}/.default`
  const load = {
    port: endpoints.port,
    host: `${VAULT}.vault.localhost`,
    ca: await readFile(endpoints.caCertificate, 'utf8'),
    token: (await credential.getToken(scope))?.token ?? '',
    connections: 1,
    requests: 1,
  }
  const value = randomBytes(64).toString('base64url')
  const wrap = { ...load, path: '/keys/k/wrapkey?api-version=7.6', body: JSON.stringify({ alg: ALG, value }) }
  const { firstBody } = await client(wrap)
  const wrapped = (JSON.parse(firstBody) as { value: string }).value
  const unwrapBody = JSON.stringify({ alg: ALG, value: wrapped })
  return { wrapKey: wrap, unwrapKey: { ...load, path: '/keys/k/unwrapkey?api-version=7.6', body: unwrapBody } }
}

async function startBareServer(folder: string): Promise<{ child: ChildProcess; load: Load }> {
  const { certificatePem: cert, keyPem: key, caPem: ca } = await openCertificates(folder, 'localhost', systemEnv)
  const child = fork(new URL('load/bare-server.ts', import.meta.url), { execArgv: [] })
  child.send({ cert, key })
  const [port] = (await once(child, 'message')) as [number]
  const request = { host: 'login.localhost', path: '/', token: 'none', body: '{}' }
  return { child, load: { ...request, port, ca, connections: 1, requests: 1 } }
}

async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024
}

/** In a process of its own, so that its work does not count as the server's. */
function client(load: Load): Promise<LoadResult & { readonly firstBody: string }> {
  return new Promise((resolve, reject) => {
    const child = fork(new URL('load/post-client.ts', import.meta.url), { execArgv: [] })
    child.once('message', result => resolve(result as LoadResult & { firstBody: string }))
    child.once('error', reject)
    child.once('exit', code => reject(new Error(`The client ended with ${code} before its result.`)))
    child.send(load)
  })
}
