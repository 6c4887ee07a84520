import assert from 'node:assert/strict'
import { readdirSync, readlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { after, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { Azure, pause } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after })
const { endpoints } = cloud
const azure = await Azure.in(endpoints)
const account = await azure.account('hostile')
const file = await account.upload('kept', 'big.jsonl', 5000)

/** The port's answer to these bytes, until it ends the connection or is silent for a while. */
function answerTo(bytes: string, servername?: string, silenceMs = 300): Promise<string> {
  const at = { port: endpoints.port, host: '127.0.0.1' }
  const socket = servername === undefined ? connect(at) : connectTls({ ...at, servername })
  return new Promise(resolve => {
    let text = ''
    const end = (): void => {
      socket.destroy()
      resolve(text)
    }
    let timer = setTimeout(end, 5000)
    socket.on('error', end).on('close', end)
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      clearTimeout(timer)
      timer = setTimeout(end, silenceMs)
    })
    socket.write(bytes)
  })
}

async function stands(): Promise<void> {
  assert.equal(await Promise.race([cloud.ended, pause(50)]), undefined, 'the service ended')
  assert.equal((await account.openai.files.list()).data.length, 1)
}

test('the service survives requests with any Host header, in plain HTTP and over TLS', async () => {
  const hosts = [
    'portal.localhost:99999',
    'portal.localhost:65536',
    'localhost:99999',
    '[::1]:99999',
    '127.0.0.1:70000',
    'xn--zzzz.vault.localhost',
    'xn--a.openai.localhost',
    '%00.vault.localhost',
    'a..b',
    '.',
    '',
  ]
  for (const host of hosts)
    for (const method of ['GET', 'POST', 'OPTIONS', 'CONNECT']) {
      const bytes = `${method} /%zz HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`
      assert.match(await answerTo(bytes), method === 'GET' ? /^HTTP\/1.1 302 / : /^HTTP\/1.1 400 /, `${method} ${host}`)
      await answerTo(bytes, 'portal.localhost')
      assert.equal(await Promise.race([cloud.ended, pause(5)]), undefined, `the service ended: ${method} ${host}`)
    }
  await stands()
})

const head = (method: string, path: string, more = ''): string =>
  `${method} /openai/${path}?api-version=2024-10-21 HTTP/1.1\r\nHost: hostile.openai.localhost\r\napi-key: ${account.openai.apiKey}\r\n${more}\r\n`

test('pipelined requests are done one after the other, and hold one file at a time', async () => {
  const folder = `/proc/${cloud.pid}/fd`
  const blobs = (): number =>
    readdirSync(folder).filter(fd => {
      try {
        return readlinkSync(`${folder}/${fd}`).includes('/blobs/')
      } catch {
        return false
      }
    }).length
  const asked = answerTo(head('GET', `files/${file}/content`).repeat(100), 'hostile.openai.localhost', 1000)
  let most = 0
  for (let looks = 0; process.platform === 'linux' && looks < 60; looks += 1) {
    most = Math.max(most, blobs())
    await pause(5)
  }
  assert.equal((await asked).match(/HTTP\/1\.1 200 OK/g)?.length, 100)
  assert.ok(most <= 2, `${most} files were open`)
  const other = await account.upload('goes')
  const [deleted, gone] =
    (
      await answerTo(head('DELETE', `files/${other}`) + head('GET', `files/${other}`), 'hostile.openai.localhost')
    ).match(/HTTP\/1\.1 \d+/g) ?? []
  assert.deepEqual([deleted, gone], ['HTTP/1.1 200', 'HTTP/1.1 404'])
  await stands()
})
