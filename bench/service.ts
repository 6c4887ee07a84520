import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { startCloudProcess } from '../src/harness/cloud-process.ts'
import { Scene } from '../src/harness/scene.ts'
import { SealedBlobs } from '../src/encryption/sealed-blobs.ts'
import { startCloud } from '../src/cloud/start.ts'
import { openDirectoryBlobs } from '../src/store/directory-blobs.ts'
import { systemEnv } from '../src/base/env.ts'
import type { Figure } from './figure.ts'
import type { Upload } from './load/upload-client.ts'

const ROUNDS = 5
const MIB = 2 ** 20
const UPLOAD_BYTES = 64 * MIB
const run = promisify(execFile)

/** Uploads through the whole pipeline, sealed and not, and how long a cloud takes to be ready. */
export async function figures(): Promise<Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), 'ownkey-bench-'))
  try {
    return [...(await uploadFigures(folder)), ...(await startFigures(folder))]
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** The same HTTPS, multipart parser, validation, digest, disk and audit; only sealing and the key lease are left out. */
async function uploadFigures(folder: string): Promise<Figure[]> {
  const path = join(folder, 'bench.jsonl')
  await writeTrainingFile(path)
  const dataDir = join(folder, 'upload')
  const cloud = await startCloud({ dataDir, port: 0, keyLeaseSeconds: 30, location: 'westeurope' })
  const { endpoints } = cloud
  const { stop, upload, download } = await client(dataDir, endpoints, path)
  const plain = plainCreate(await openDirectoryBlobs(join(folder, 'plain')))
  const sealing = Object.getOwnPropertyDescriptor(SealedBlobs.prototype, 'create') as PropertyDescriptor
  const times = { sealed: [] as number[], plain: [] as number[], download: [] as number[] }
  try {
    for (let round = 0; round <= ROUNDS; round++) {
      Object.defineProperty(SealedBlobs.prototype, 'create', sealing)
      const sealed = await upload()
      const opened = await download(sealed.id)
      Object.defineProperty(SealedBlobs.prototype, 'create', { ...sealing, value: plain })
      const unsealed = await upload()
      // The first round only warms up.
      if (round === 0) continue
      times.sealed.push(sealed.seconds)
      times.plain.push(unsealed.seconds)
      times.download.push(opened)
    }
  } finally {
    Object.defineProperty(SealedBlobs.prototype, 'create', sealing)
    await stop()
    await cloud.close()
  }
  const speed = (seconds: number): number => UPLOAD_BYTES / MIB / seconds
  const [sealed, unsealed, opened] = [median(times.sealed), median(times.plain), median(times.download)]
  const against = `the same upload without sealing, ${speed(unsealed).toFixed(0)} MiB/s`
  return [
    { name: 'upload of 64 MiB, sealed', value: speed(sealed), unit: 'MiB/s', ratio: unsealed / sealed, against },
    { name: 'download of 64 MiB, sealed', value: speed(opened), unit: 'MiB/s' },
  ]
}

/** `SealedBlobs.create` without sealing. */
function plainCreate(blobs: Awaited<ReturnType<typeof openDirectoryBlobs>>): SealedBlobs['create'] {
  return async ({ accountId, kind, source, metadata }) => {
    const blobId = systemEnv.uuid()
    const size = await blobs.create(blobId, source)
    metadata?.()
    const rest = { generation: 1, wrappedKey: '', header: '', size, storedSize: size, createdAt: '' }
    return { record: { blobId, accountId, kind, ...rest }, changes: [] }
  }
}

async function client(dataDir: string, endpoints: Scene['endpoints'], path: string) {
  const { resolveLocalNames } = await import('../src/http/local-names.mjs')
  const { getCACertificates, setDefaultCACertificates } = await import('node:tls')
  const ca = await readFile(endpoints.caCertificate, 'utf8')
  resolveLocalNames()
  setDefaultCACertificates([...getCACertificates('default'), ca])
  const scene = new Scene(endpoints, dataDir)
  await scene.createGroup()
  await scene.createAccount()
  const apiKey = String(scene.openai.apiKey)
  const host = `${scene.account}.openai.localhost`
  const workerData: Upload = { port: endpoints.port, host, ca, apiKey, path }
  const worker = new Worker(new URL('load/upload-client.ts', import.meta.url), { workerData })
  const upload = (): Promise<{ id: string; seconds: number }> =>
    new Promise((resolve, reject) => {
      worker.once('message', (result: { id: string; seconds: number } | { error: string }) =>
        'error' in result ? reject(new Error(result.error)) : resolve(result),
      )
      worker.postMessage('go')
    })
  const download = async (id: string): Promise<number> => {
    const start = performance.now()
    await (await scene.openai.files.content(id)).arrayBuffer()
    return (performance.now() - start) / 1000
  }
  return { upload, download, stop: () => worker.terminate() }
}

/** Valid chat-format JSONL with examples of about 1 KiB. */
async function writeTrainingFile(path: string): Promise<void> {
  const line = (n: number): string =>
    `${JSON.stringify({
      messages: [
        { role: 'user', content: `Question ${n}: ${'what is the sum? '.repeat(28)}` },
        { role: 'assistant', content: `Answer ${n}: ${'it is what it is. '.repeat(24)}` },
      ],
    })}\n`
  const lines: string[] = []
  for (let [n, bytes] = [0, 0]; bytes < UPLOAD_BYTES; n++) bytes += (lines[lines.push(line(n)) - 1] as string).length
  await writeFile(path, lines.join(''))
}

/** From the command to the first answered request, against a Node process that does nothing. */
async function startFigures(folder: string): Promise<Figure[]> {
  const [fresh, again, bare] = [[] as number[], [] as number[], [] as number[]]
  for (let round = 0; round < ROUNDS; round++) {
    const dataDir = join(folder, `start-${round}`)
    for (const times of [fresh, again]) {
      const cloud = await startCloudProcess(dataDir)
      times.push(cloud.startMs)
      await cloud.stop()
    }
    const start = performance.now()
    await run(process.execPath, ['-e', '0'])
    bare.push(performance.now() - start)
  }
  const against = `node -e 0, ${median(bare).toFixed(0)} ms`
  const row = (name: string, times: number[]): Figure => ({
    name,
    value: median(times),
    unit: 'ms',
    ratio: median(bare) / median(times),
    against,
  })
  return [row('start-up in an empty folder', fresh), row('start-up in a used folder', again)]
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN
