import assert from 'node:assert/strict'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { request } from 'node:https'
import { after, test } from 'node:test'
import { Azure, BASE_MODEL, pause, type TestAccount } from '../support/azure.ts'
import { cloudFor, type TestCloud } from '../support/cloud.ts'

const TIMES = 120
/** Each client leaves this many milliseconds after it is connected, in turn. */
const MOST_MS = 30
const API = 'api-version=2024-10-21'

interface Wanted {
  readonly method: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Leaves when the answer begins, if that is earlier. */
  readonly atAnswer?: boolean
}

test('the service survives clients that leave at any moment, and holds no file open for them', async () => {
  const cloud = await cloudFor({ after })
  const azure = await Azure.in(cloud.endpoints)
  const account = await azure.account('left')
  const file = await account.upload('kept', 'big.jsonl', 5000)
  assert.equal((await account.deploy('base', BASE_MODEL)).status, 201)
  await account.chat('base')
  const { pid } = cloud
  const chat = (stream: boolean): string =>
    JSON.stringify({ stream, max_tokens: 20, messages: [{ role: 'user', content: 'Say number 3.' }] })
  const part = 'content-disposition: form-data; name="file"; filename="a.jsonl"'
  const wanted: readonly Wanted[] = [
    { method: 'GET', path: `files/${file}/content` },
    { method: 'GET', path: `files/${file}/content`, atAnswer: true },
    { method: 'GET', path: 'files' },
    {
      method: 'POST',
      path: 'files',
      headers: { 'content-type': 'multipart/form-data; boundary=b', 'content-length': '9000000' },
      body: `--b\r\n${part}\r\n\r\n${'{}\n'.repeat(100_000)}`,
    },
    ...[true, false].map(stream => ({
      method: 'POST',
      path: 'deployments/base/chat/completions',
      headers: { 'content-type': 'application/json' },
      body: chat(stream),
    })),
  ]
  for (const one of wanted) {
    for (let n = 0; n < TIMES; n += 4)
      await Promise.all([0, 1, 2, 3].map(more => leave(cloud, account, one, (n + more) % MOST_MS)))
    assert.equal(
      await Promise.race([cloud.ended, pause(50)]),
      undefined,
      `the service ended: ${one.method} ${one.path}`,
    )
  }
  for (let looks = 0; openBlobs(cloud) > 0 && looks < 100; looks++) await pause(50)
  assert.equal(openBlobs(cloud), 0)
  assert.equal(cloud.pid, pid)
  assert.match((await account.download(file)).toString(), /kept/)
  assert.notEqual(await account.chat('base'), '')
  assert.equal((await account.openai.files.list()).data.length, 1)
})

/** Files of blobs that the process has open; only Linux shows them. */
function openBlobs({ pid }: TestCloud): number {
  if (process.platform !== 'linux') return 0
  const folder = `/proc/${pid}/fd`
  const nameOf = (fd: string): string => {
    try {
      return readlinkSync(`${folder}/${fd}`)
    } catch {
      return ''
    }
  }
  return readdirSync(folder).filter(fd => nameOf(fd).includes('/blobs/')).length
}

function leave({ endpoints }: TestCloud, { openai }: TestAccount, wanted: Wanted, afterMs: number): Promise<void> {
  const { method, path, headers, body, atAnswer } = wanted
  return new Promise(resolve => {
    const asked = request(`${openai.baseURL}/${path}?${API}`, {
      method,
      agent: false,
      ca: readFileSync(endpoints.caCertificate),
      headers: { 'api-key': openai.apiKey ?? '', ...headers },
    })
    const go = (): void => {
      asked.destroy()
      resolve()
    }
    asked.on('error', () => resolve())
    asked.on('response', answer => {
      answer.on('error', () => undefined)
      if (atAnswer === true) go()
    })
    asked.on('socket', socket => socket.on('secureConnect', () => setTimeout(go, atAnswer === true ? 1000 : afterMs)))
    if (body !== undefined) asked.write(body)
    if (headers?.['content-length'] === undefined) asked.end()
  })
}
