import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { request, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Azure, pause } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('connections')
const file = await account.upload('what somebody reads')
const sockets: Socket[] = []
after(async () => {
  for (const socket of sockets) socket.destroy()
})

/** Silent connections. */
async function crowd(port: number, many: number): Promise<Socket[]> {
  const opened = Array.from({ length: many }, () => connect(port, '127.0.0.1').on('error', () => undefined))
  sockets.push(...opened)
  await Promise.all(opened.map(socket => once(socket, 'connect')))
  return opened
}

test('a thousand silent connections shut nobody out', async () => {
  const opened = await crowd(cloud.endpoints.port, 1_100)
  const began = performance.now()
  assert.match((await account.download(file)).toString(), /what somebody reads/)
  assert.ok(performance.now() - began < 3_000)
  await pause(500)
  assert.ok(opened.filter(({ destroyed, readyState }) => !destroyed && readyState === 'open').length <= 768)
  await crowd(cloud.endpoints.port, 200)
  assert.match((await account.download(file)).toString(), /what somebody reads/)
  const log = await readFile(join(cloud.dataDir, 'service.log'), 'utf8')
  assert.equal(log.split('768 connections of one address').length, 2)
})

test('silent connections shut nobody out at the listener for instance metadata', async () => {
  await crowd(Number(new URL(cloud.endpoints.instanceMetadata).port), 1_000)
  // Over a new connection, since an idle one may be gone.
  const asking = request(`${cloud.endpoints.instanceMetadata}/ca.pem`, { agent: false, timeout: 5_000 }).end()
  const [response] = (await once(asking, 'response')) as [IncomingMessage]
  response.resume()
  assert.equal(response.statusCode, 200)
})
