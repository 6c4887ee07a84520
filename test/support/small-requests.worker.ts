/** Small requests of somebody else, one after another in a thread of its own, until it is told to stop; posts what each took (ms). */
import { Agent, request } from 'node:https'
import { parentPort, workerData } from 'node:worker_threads'

const { url, ca } = workerData as { url: string; ca: string }
const { hostname, port, pathname } = new URL(url)
const agent = new Agent({ keepAlive: true })
const taken: number[] = []

function once(): void {
  const began = performance.now()
  const options = {
    host: '127.0.0.1',
    servername: hostname,
    port,
    path: pathname,
    ca,
    agent,
    headers: { host: `${hostname}:${port}` },
  }
  request(options, response => {
    response.resume().on('end', () => {
      taken.push(performance.now() - began)
      setTimeout(once, 2)
    })
  })
    .on('error', error => {
      throw error
    })
    .end()
}

parentPort?.on('message', () => {
  parentPort?.postMessage(taken)
  parentPort?.close()
  agent.destroy()
  process.exit(0)
})
once()
