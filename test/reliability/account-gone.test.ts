import assert from 'node:assert/strict'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { after, test } from 'node:test'
import { Azure, pause, type Reply, type TestAccount } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const { location } = cloud.endpoints
const LINE = `${JSON.stringify({
  messages: [
    { role: 'user', content: 'Hello' },
    { role: 'assistant', content: 'y'.repeat(1000) },
  ],
})}\n`
const FORM = { 'content-type': 'multipart/form-data; boundary=B' }
const HEAD =
  '--B\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n--B\r\ncontent-disposition: form-data; name="file"; filename="late.jsonl"\r\n\r\n'

/** A request to the account's own host, with what it answered once that has begun. */
function ask({ openai, name }: TestAccount, method: string, path: string, headers = {}) {
  const url = `https://${name}${cloud.endpoints.openAiSuffix}/openai/v1${path}`
  const asked: ClientRequest = request(url, { method, headers: { 'api-key': String(openai.apiKey), ...headers } })
  const answered = new Promise<{ status: number; body: AsyncIterable<Buffer> }>((resolve, reject) => {
    asked.on('error', reject)
    asked.on('response', (body: IncomingMessage) =>
      resolve({ status: body.statusCode ?? 0, body: body as AsyncIterable<Buffer> }),
    )
  })
  return { asked, answered }
}

async function ended(started: Reply): Promise<number> {
  assert.equal(started.status, 202, JSON.stringify(started.body))
  const { pathname, search } = new URL(started.headers.get('location') ?? '')
  for (;;) {
    const { status } = await azure.armRoot('GET', `${pathname}${search}`)
    if (status !== 202) return status
    await pause(20)
  }
}

/** Deletes it, and resolves to the path of what is left of it. */
async function deleted({ name }: TestAccount): Promise<string> {
  assert.equal(await ended(await azure.arm('DELETE', azure.accountPath(name))), 200)
  return `/providers/Microsoft.CognitiveServices/locations/${location}/resourceGroups/${azure.group}/deletedAccounts/${name}`
}

test('an upload that is under way while its account is deleted gets 404, and a restored account lacks the file', async () => {
  const account = await azure.account('late')
  const kept = await account.upload('kept')
  const { asked, answered } = ask(account, 'POST', '/files', FORM)
  asked.write(HEAD + LINE.repeat(20))
  await pause(200)
  await deleted(account)
  asked.end(`${LINE}\r\n--B--\r\n`)
  assert.equal((await answered).status, 404)
  const body = { location, kind: 'OpenAI', sku: { name: 'S0' }, properties: { restore: true } }
  assert.equal((await azure.arm('PUT', azure.accountPath(account.name), body)).status, 200)
  assert.deepEqual(
    (await account.openai.files.list()).data.map(({ id }) => id),
    [kept],
  )
})

test('a purge cuts a download that is under way within a lease', async () => {
  const account = await azure.account('cut')
  const { asked: sending, answered: sent } = ask(account, 'POST', '/files', FORM)
  sending.end(`${HEAD}${LINE.repeat(25_000)}\r\n--B--\r\n`)
  const parts: Buffer[] = []
  for await (const part of (await sent).body) parts.push(part)
  const { id, bytes } = JSON.parse(Buffer.concat(parts).toString()) as { id: string; bytes: number }
  const { asked, answered } = ask(account, 'GET', `/files/${id}/content`)
  asked.end()
  const { body } = await answered
  let received = 0
  let purged = false
  await assert.rejects(async () => {
    for await (const part of body) {
      received += part.length
      if (purged) continue
      purged = true
      assert.equal(await ended(await azure.arm('DELETE', await deleted(account))), 200)
      await pause(1200)
    }
  })
  assert.ok(received < bytes / 2, `${received} of ${bytes}`)
})
