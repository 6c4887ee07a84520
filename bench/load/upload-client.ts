import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { parentPort, workerData } from 'node:worker_threads'

export interface Upload {
  readonly port: number
  readonly host: string
  readonly ca: string
  readonly apiKey: string
  /** A file of chat-format JSONL. */
  readonly path: string
}

const agent = new Agent({ keepAlive: true, maxSockets: 1 })
const { path, ...target } = workerData as Upload
const boundary = 'ownkey-bench-boundary'
const body = Buffer.concat([
  Buffer.from(
    `--${boundary}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n` +
      `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="bench.jsonl"\r\nContent-Type: application/jsonl\r\n\r\n`,
  ),
  readFileSync(path),
  Buffer.from(`\r\n--${boundary}--\r\n`),
])

/** Uploads the file once. Resolves to its id and the seconds until the answer. */
function upload({ port, host, ca, apiKey }: Omit<Upload, 'path'>): Promise<{ id: string; seconds: number }> {
  const start = performance.now()
  const headers = {
    host: `${host}:${port}`,
    'api-key': apiKey,
    'content-type': `multipart/form-data; boundary=${boundary}`,
    'content-length': body.length,
  }
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', servername: host, port, path: '/openai/v1/files', method: 'POST', ca }
    const sent = request({ ...options, agent, headers }, response => {
      response.toArray().then(chunks => {
        const answer = Buffer.concat(chunks as Buffer[]).toString()
        if (response.statusCode !== 201) reject(new Error(`${response.statusCode} ${answer.slice(0, 200)}`))
        else resolve({ id: (JSON.parse(answer) as { id: string }).id, seconds: (performance.now() - start) / 1000 })
      }, reject)
    })
    sent.on('error', reject).end(body)
  })
}

parentPort?.on('message', () => {
  upload(target).then(
    result => parentPort?.postMessage(result),
    (error: unknown) => parentPort?.postMessage({ error: String(error) }),
  )
})
