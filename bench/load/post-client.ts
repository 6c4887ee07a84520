import { Agent, request } from 'node:https'
import { parentPort, workerData } from 'node:worker_threads'

export interface Load {
  readonly port: number
  readonly host: string
  readonly ca: string
  readonly path: string
  readonly token: string
  readonly body: string
  readonly connections: number
  readonly requests: number
}

export interface LoadResult {
  readonly seconds: number
  /** Milliseconds, in no order. */
  readonly latencies: readonly number[]
}

/** Posts the same body again and again over keep-alive connections, each of which waits for its answer before it goes on. */
async function post(load: Load): Promise<LoadResult> {
  const { connections, requests, ...target } = load
  const agent = new Agent({ keepAlive: true, maxSockets: connections, ca: load.ca })
  await Promise.all(Array.from({ length: connections }, () => once(target, agent)))
  const latencies: number[] = []
  let left = requests
  const start = performance.now()
  const run = async (): Promise<void> => {
    while (left-- > 0) latencies.push(await once(target, agent))
  }
  await Promise.all(Array.from({ length: connections }, run))
  const seconds = (performance.now() - start) / 1000
  agent.destroy()
  return { seconds, latencies }
}

function once(load: Omit<Load, 'connections' | 'requests'>, agent: Agent): Promise<number> {
  const start = performance.now()
  const headers = {
    host: `${load.host}:${load.port}`,
    authorization: `Bearer ${load.token}`,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(load.body),
  }
  return new Promise((resolve, reject) => {
    const options = {
      host: '127.0.0.1',
      servername: load.host,
      port: load.port,
      path: load.path,
      method: 'POST',
      headers,
      agent,
    }
    const client = request(options, response => {
      response.resume()
      response.on('end', () => {
        if (response.statusCode === 200) resolve(performance.now() - start)
        else reject(new Error(`The server answered ${response.statusCode}.`))
      })
    })
    client.on('error', reject)
    client.end(load.body)
  })
}

post(workerData as Load).then(
  result => parentPort?.postMessage(result, []),
  (error: unknown) => {
    throw error
  },
)
