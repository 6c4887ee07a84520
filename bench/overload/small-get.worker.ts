/** One small GET after another over one connection, in a thread of its own; on a word it posts what each took (ms) since the last. */
import { Agent, request } from 'node:https'
import { parentPort, workerData } from 'node:worker_threads'

const { url, ca, apiKey } = workerData as { url: string; ca: string; apiKey: string }
const { hostname, port, pathname } = new URL(url)
const agent = new Agent({ keepAlive: true, maxSockets: 1 })
const PAUSE_MS = 10
let taken: number[] = []
let failed = 0

function once(): void {
  const began = performance.now()
  const headers = { host: `${hostname}:${port}`, 'api-key': apiKey }
  const options = { host: '127.0.0.1', servername: hostname, port, path: pathname, ca, agent, headers }
  let isOver = false
  const next = (isAnswered: boolean): void => {
    if (isOver) return
    isOver = true
    if (isAnswered) taken.push(performance.now() - began)
    else failed += 1
    setTimeout(once, PAUSE_MS)
  }
  request(options, response => {
    const isAnswered = response.statusCode === 200
    response
      .resume()
      .on('end', () => next(isAnswered))
      .on('error', () => next(false))
  })
    .on('error', () => next(false))
    .end()
}

parentPort?.on('message', () => {
  parentPort?.postMessage({ taken, failed })
  taken = []
  failed = 0
})
once()
