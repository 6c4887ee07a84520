import assert from 'node:assert/strict'
import { request as plainRequest } from 'node:http'
import { after, test } from 'node:test'
import { ask } from '../support/asking.ts'
import { Azure } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { othersWaitLittle } from '../support/waits.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('one-thread')
const { authority, resourceManager, subscriptionId, instanceMetadata } = cloud.endpoints
const key = String(account.openai.apiKey)
const openai = `https://one-thread${cloud.endpoints.openAiSuffix}`
const token = (await azure.credential.getToken(`${resourceManager}/.default`))?.token ?? ''
const MIB = 1024 * 1024
const line = (content: string): string =>
  `${JSON.stringify({
    messages: [
      { role: 'user', content },
      { role: 'assistant', content: 'b' },
    ],
  })}\n`
const fill = (text: string, bytes = 16 * MIB): Buffer => Buffer.alloc(bytes, text)
const keys = (n: number): string => `{${Array.from({ length: n }, (_, at) => `"key-${at}":${at}`).join()}}`

async function upload(bytes: Buffer): Promise<void> {
  const head = '--b\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
  const tail = '\r\n--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n--b--\r\n'
  const { status, text } = await ask({
    method: 'POST',
    url: `${openai}/openai/files?api-version=2024-10-21`,
    headers: { 'api-key': key, 'content-type': 'multipart/form-data; boundary=b' },
    body: Buffer.concat([Buffer.from(head), bytes, Buffer.from(tail)]),
  })
  assert.ok(status === 201 || status === 400, `${status} ${text.slice(0, 200)}`)
}

const UPLOADS: Readonly<Record<string, Buffer>> = {
  'line feeds': fill('\n'),
  'lines of {}': fill('{}\n'),
  'lines of blanks': fill(' \r\n'),
  'one line': fill('a'),
  'one line of carriage returns': fill('\r'),
  'what looks like the end of the part': fill('\r\n--'),
  'nested brackets': fill(`${'['.repeat(900_000)}\n`),
  'examples of few letters': fill(line('a')),
  'examples of the greatest length': fill(line('a'.repeat(MIB - 200))),
  'examples of escapes': fill(line('\u0001'.repeat(150_000))),
  'a JSON array of examples': fill(`[\n${line('a')}`),
  'lines with many keys': fill(`${keys(9_999)}\n`),
  'one line with more keys than are read': fill(`${keys(70_000)}\n`, 4 * MIB),
}
for (const [what, bytes] of Object.entries(UPLOADS))
  test(`while somebody uploads ${bytes.length / MIB} MiB of ${what}, others wait less than 50 ms`, async () =>
    othersWaitLittle(cloud.endpoints, () => upload(bytes)))

test('while four upload examples at a time, others wait less than 50 ms', async () =>
  othersWaitLittle(cloud.endpoints, () =>
    Promise.all([1, 2, 3, 4].map(() => upload(UPLOADS['examples of few letters'] ?? fill('')))),
  ))

test('an upload of garbage ends at the fiftieth finding', async () => {
  const began = performance.now()
  await upload(fill('{}\n', 128 * MIB))
  assert.ok(performance.now() - began < 5_000)
})

const chat = (body: string): (() => Promise<unknown>) => post(`${openai}/openai/v1/chat/completions`, body)
const jobs = (body: string): (() => Promise<unknown>) => post(`${openai}/openai/v1/fine_tuning/jobs`, body)
const manage = (path: string, body: string, method = 'PUT'): (() => Promise<unknown>) =>
  post(`${resourceManager}/subscriptions/${subscriptionId}${path}`, body, method)
function post(url: string, body: string, method = 'POST'): () => Promise<unknown> {
  const headers = { 'api-key': key, authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  return () => ask({ method, url, headers, body })
}
const many = (value: string, n: number): string => `[${Array.from({ length: n }, () => value).join()}]`
const get =
  (url: string, headers: Readonly<Record<string, string>> = {}) =>
  () =>
    ask({ url, headers })
const metadata = (path: string) => (): Promise<unknown> =>
  new Promise((resolve, reject) => {
    plainRequest(`${instanceMetadata}${path}`, { agent: false, headers: { metadata: 'true' } }, response =>
      response.resume().on('end', resolve),
    )
      .on('error', reject)
      .end()
  })

const REQUESTS: Readonly<Record<string, () => Promise<unknown>>> = {
  'a chat body of 3 MiB of unknown fields': chat(keys(150_000)),
  'a chat body with as many wrong fields as are read': chat(keys(9_999)),
  'a chat body with many messages of a wrong type': chat(`{"messages":${many('1', 19_990)}}`),
  'a chat body with many wrong contents': chat(`{"messages":${many('{"role":"user","content":[1]}', 4_000)}}`),
  'a chat body of long texts': chat(`{"messages":${many(`{"role":"user","content":"${'a'.repeat(900_000)}"}`, 4)}}`),
  'a chat body of escapes': chat(`{"messages":[{"role":"user","content":"${'\\u0041'.repeat(690_000)}"}]}`),
  'a job with many unknown fields': jobs(keys(4_000)),
  'a job with a long suffix': jobs(JSON.stringify({ suffix: '-'.repeat(65_000) })),
  'tags at the limit': manage(
    `/resourceGroups/many-tags?api-version=2021-04-01`,
    `{"location":"westeurope","tags":${keys(3_000)}}`,
  ),
  'an account with a megabyte of tags': manage(
    `${azure.accountPath('one-thread')}?api-version=2024-10-01`,
    `{"tags":${keys(9_999)}}`,
    'PATCH',
  ),
  'ids of slashes': post(
    `${resourceManager}/subscriptions/${subscriptionId}/resourceGroups/tests/moveResources?api-version=2021-04-01`,
    JSON.stringify({ targetResourceGroup: `${'/'.repeat(400_000)}a`, resources: [`${'/'.repeat(400_000)}a`] }),
  ),
  'a long query to the metadata listener': metadata(`/x/metadata/identity/oauth2/token?${'a'.repeat(30_000)}`),
  'a resource of slashes': metadata(
    `/metadata/identity/oauth2/token?api-version=2019-08-01&resource=${'/'.repeat(30_000)}a`,
  ),
  'a scope of slashes': () =>
    ask({
      method: 'POST',
      url: `${authority}/common/oauth2/v2.0/token`,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: `grant_type=client_credentials&client_id=a&client_secret=b&scope=${'/'.repeat(60_000)}a/.default`,
    }),
  'a form of many parameters': () =>
    ask({
      method: 'POST',
      url: `${authority}/common/oauth2/v2.0/token`,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: Array.from({ length: 10_000 }, (_, n) => `a${n}=`).join('&'),
    }),
  'a filter at the limit': get(
    `${resourceManager}/subscriptions/${subscriptionId}/resources?api-version=2021-04-01&$filter=${encodeURIComponent(`name eq '${"''".repeat(5_000)}`)}`,
    { authorization: `Bearer ${token}` },
  ),
  'a token of dots': get(`${openai}/openai/v1/models`, { authorization: `Bearer ${'a.'.repeat(15_000)}` }),
  'a token of many blanks': get(`${openai}/openai/v1/models`, { authorization: `Bearer ${'  a'.repeat(10_000)}` }),
  'a path of providers': get(`${resourceManager}${'/providers/a'.repeat(2_500)}`, {}),
  'many query parameters': get(
    `${resourceManager}/subscriptions?${Array.from({ length: 6_000 }, (_, n) => `a${n}`).join('&')}`,
  ),
  'many headers': get(
    `${openai}/openai/v1/models`,
    Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`x-h${n}`, 'a'])),
  ),
  'a form of thousands of parts': () =>
    ask({
      method: 'POST',
      url: `${openai}/openai/v1/files`,
      headers: { 'api-key': key, 'content-type': 'multipart/form-data; boundary=b' },
      body: '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'.repeat(100_000),
    }),
  'a part with thousands of header lines': () =>
    ask({
      method: 'POST',
      url: `${openai}/openai/v1/files`,
      headers: { 'api-key': key, 'content-type': 'multipart/form-data; boundary=b' },
      body: `--b\r\n${'X-A: b\r\n'.repeat(500_000)}`,
    }),
}
for (const [what, work] of Object.entries(REQUESTS))
  test(`while somebody sends ${what}, others wait less than 50 ms`, async () => othersWaitLittle(cloud.endpoints, work))
