import assert from 'node:assert/strict'
import { request } from 'node:https'
import { after, test } from 'node:test'
import { Azure, pause, type TestAccount } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const PLACES = 8
const line = `${JSON.stringify({
  messages: [
    { role: 'user', content: 'a' },
    { role: 'assistant', content: 'b' },
  ],
})}\n`

/** An upload of many megabytes with some kilobytes each second, just enough that it is not ended. */
function slowUpload({ name, openai }: TestAccount, answered: (status: number) => void): void {
  const headers = {
    'api-key': String(openai.apiKey),
    'content-type': 'multipart/form-data; boundary=b',
    'content-length': String(400 * 1024 * 1024),
  }
  const sent = request(`https://${name}${azure.endpoints.openAiSuffix}/openai/v1/files`, { method: 'POST', headers })
  sent.on('response', ({ statusCode = 0 }) => answered(statusCode)).on('error', () => {})
  sent.write('--b\r\ncontent-disposition: form-data; name="file"; filename="slow.jsonl"\r\n\r\n')
  const ticking = setInterval(() => sent.write(line.repeat(200)), 1000)
  after(async () => {
    clearInterval(ticking)
    sent.destroy()
  })
}

test('somebody with many accounts who sends slowly on all of them does not keep others from uploading', async t => {
  const thieves = [1, 2, 3, 4].map(n => azure.account(`slow-${n}`, 'None'))
  const victim = await azure.account('waits', 'None')
  const statuses: number[] = []
  // In turn, so later accounts get the places that earlier ones may not have.
  for (const account of await Promise.all(thieves))
    for (let n = 0; n < PLACES / 2; n++) {
      slowUpload(account, status => statuses.push(status))
      await pause(50)
    }
  await pause(1000)
  const began = performance.now()
  assert.match((await victim.download(await victim.upload('in good time'))).toString(), /in good time/)
  const took = performance.now() - began
  t.diagnostic(`it was uploaded after ${took.toFixed(0)} ms`)
  assert.ok(took > 1000, 'there was a place for it')
  assert.ok(took < 20_000, `it was uploaded after ${took.toFixed(0)} ms`)
  assert.deepEqual(new Set(statuses), new Set([408]))
})
