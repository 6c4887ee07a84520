import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { text } from 'node:stream/consumers'
import { after, test } from 'node:test'
import { Azure, pause } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { peakDuring, residentMebibytes } from '../support/resident.ts'

/** By hand: OWNKEY_UPLOADS=200 node --test --test-timeout=0 test/faults/upload-memory.test.ts */
const UPLOADS = Number(process.env['OWNKEY_UPLOADS'] ?? 60)
const MEBIBYTES = 5
/** What uploads may cost while they run; without a bound 200 cost 660 MiB. */
const MOST_MEANWHILE = 140
/** And afterwards. */
const MOST_AFTERWARDS = 50
const SETTLES_MS = 15_000

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('weighed')
const host = `weighed${cloud.endpoints.openAiSuffix}`.replace(/\/$/, '')
const line = `${JSON.stringify({
  messages: [
    { role: 'user', content: 'Say something about number 7, please.' },
    { role: 'assistant', content: 'x'.repeat(400) },
  ],
})}\n`
const content = line.repeat(Math.ceil((MEBIBYTES * 1024 * 1024) / line.length))

const form = new FormData()
form.set('purpose', 'fine-tune')
form.set('file', new Blob([content]), 'big.jsonl')
const encoded = new Request('http://localhost', { method: 'POST', body: form })
const headers = {
  'api-key': account.openai.apiKey ?? '',
  'content-type': encoded.headers.get('content-type') ?? '',
  connection: 'close',
}
const body = Buffer.from(await encoded.arrayBuffer())

/** Over a connection of its own, which then ends. */
async function upload(): Promise<number> {
  const [name, port] = host.split(':')
  const asked = request({ host: name, port, path: '/openai/v1/files', method: 'POST', headers, agent: false })
  asked.end(body)
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  await text(answer)
  return answer.statusCode ?? 0
}

test(`${UPLOADS} uploads of ${MEBIBYTES} MiB at once are all accepted, in bounded memory that is given back`, async t => {
  for (let n = 0; n < 3; n += 1) assert.equal(await upload(), 201)
  await pause(3000)
  const idle = await residentMebibytes(cloud.pid)
  const statuses: number[] = []
  const peak = await peakDuring(cloud.pid, async () => {
    statuses.push(...(await Promise.all(Array.from({ length: UPLOADS }, upload))))
  })
  let afterwards = Infinity
  for (const end = Date.now() + SETTLES_MS; afterwards > idle + MOST_AFTERWARDS && Date.now() < end;) {
    await pause(500)
    afterwards = await residentMebibytes(cloud.pid)
  }
  t.diagnostic(`idle ${idle.toFixed()} MiB, at most ${peak.toFixed()}, afterwards ${afterwards.toFixed()}`)
  assert.deepEqual([...new Set(statuses)], [201])
  assert.ok(peak - idle < MOST_MEANWHILE, `${(peak - idle).toFixed()} MiB more while they ran`)
  assert.ok(afterwards - idle <= MOST_AFTERWARDS, `${(afterwards - idle).toFixed()} MiB more afterwards`)
})
