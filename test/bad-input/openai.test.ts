import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Azure } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('input')
const key = String(account.openai.apiKey)
const host = `https://input${azure.endpoints.openAiSuffix}`
const good = await account.upload('good data')
await account.deploy('base', 'gpt-4o-mini-2024-07-18')

interface Answer {
  readonly status: number
  readonly code: unknown
  readonly message: string
  readonly text: string
}

async function ask(method: string, path: string, init: RequestInit = {}): Promise<Answer> {
  const headers = { 'api-key': key, ...(init.headers as Record<string, string> | undefined) }
  const response = await fetch(`${host}${path}`, { ...init, method, headers })
  const text = await response.text()
  const { error } = (text === '' ? {} : JSON.parse(text)) as { error?: { code?: unknown; message?: string } }
  return { status: response.status, code: error?.code, message: error?.message ?? '', text }
}

const json = (body: unknown): RequestInit => ({
  headers: { 'content-type': 'application/json' },
  body: typeof body === 'string' ? body : JSON.stringify(body),
})

const token = async (scope: string): Promise<Record<string, string>> => ({
  'api-key': '',
  authorization: `Bearer ${(await azure.credential.getToken(scope))?.token ?? ''}`,
})

const chat = { messages: [{ role: 'user', content: 'Hello' }] }
const CHAT = '/openai/deployments/base/chat/completions?api-version=2024-10-21'
const FILES = '/openai/v1/files'
const JOBS = '/openai/v1/fine_tuning/jobs'
const job = { model: 'gpt-4o-mini-2024-07-18', training_file: good }

/** What a client sends wrong, and the status that it must get. */
const cases: [what: string, status: number, send: () => Promise<Answer>][] = [
  ['no key', 401, () => ask('GET', FILES, { headers: { 'api-key': '' } })],
  ['a wrong key', 401, () => ask('GET', FILES, { headers: { 'api-key': 'f'.repeat(32) } })],
  ['a key of 100 kB', 431, () => ask('GET', FILES, { headers: { 'api-key': 'f'.repeat(100_000) } })],
  [
    'a token for another audience',
    401,
    async () => ask('GET', FILES, { headers: await token('https://vault.azure.net/.default') }),
  ],
  ['a token that is none', 401, () => ask('GET', FILES, { headers: { 'api-key': '', authorization: 'Bearer a.b.c' } })],
  ['an unknown route', 404, () => ask('GET', '/openai/v1/nothing')],
  ['a method the route does not have', 405, () => ask('PUT', FILES)],
  ['no api-version on a classic path', 400, () => ask('GET', '/openai/files')],
  ['an api-version that is none', 400, () => ask('GET', '/openai/files?api-version=latest')],
  ['a file id that is none', 404, () => ask('GET', `${FILES}/not-a-file`)],
  ['a file id that nobody has', 404, () => ask('GET', `${FILES}/file-${'0'.repeat(32)}`)],
  ['a file id with a climb in it', 404, () => ask('GET', `${FILES}/..%2F..%2Froot.key`)],
  ['a job id that is none', 404, () => ask('GET', `${JOBS}/not-a-job`)],
  ['a limit that is no number', 400, () => ask('GET', `${JOBS}?limit=many`)],
  ['a limit beyond the largest', 400, () => ask('GET', `${JOBS}?limit=1000000`)],
  ['a job that is no JSON', 400, () => ask('POST', JOBS, json('{'))],
  ['a job that is a list', 400, () => ask('POST', JOBS, json([]))],
  ['a job of 200 kB', 413, () => ask('POST', JOBS, json({ ...job, suffix: 'x'.repeat(200_000) }))],
  ['a job nested 10,000 deep', 400, () => ask('POST', JOBS, json(`${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`))],
  ['a job without a model', 400, () => ask('POST', JOBS, json({ training_file: good }))],
  ['a job with an unknown model', 400, () => ask('POST', JOBS, json({ ...job, model: 'gpt-99' }))],
  ['a job without a file', 400, () => ask('POST', JOBS, json({ model: job.model }))],
  [
    'a job with an unknown file',
    400,
    () => ask('POST', JOBS, json({ ...job, training_file: `file-${'0'.repeat(32)}` })),
  ],
  ['a job with zero epochs', 400, () => ask('POST', JOBS, json({ ...job, hyperparameters: { n_epochs: 0 } }))],
  [
    'a job with a batch of text',
    400,
    () => ask('POST', JOBS, json({ ...job, hyperparameters: { batch_size: 'big' } })),
  ],
  ['a job with a suffix that is too long', 400, () => ask('POST', JOBS, json({ ...job, suffix: 'x'.repeat(100) }))],
  ['a chat with a deployment that is not there', 404, () => ask('POST', CHAT.replace('base', 'absent'), json(chat))],
  ['a chat without messages', 400, () => ask('POST', CHAT, json({}))],
  ['a chat with no message', 400, () => ask('POST', CHAT, json({ messages: [] }))],
  ['a chat with an unknown role', 400, () => ask('POST', CHAT, json({ messages: [{ role: 'robot', content: 'x' }] }))],
  [
    'a chat with a number for content',
    400,
    () => ask('POST', CHAT, json({ messages: [{ role: 'user', content: 7 }] })),
  ],
  ['a chat that is too hot', 400, () => ask('POST', CHAT, json({ ...chat, temperature: 9 }))],
  ['a chat with a negative length', 400, () => ask('POST', CHAT, json({ ...chat, max_tokens: -1 }))],
  ['a chat with a thousand answers', 400, () => ask('POST', CHAT, json({ ...chat, n: 1000 }))],
  [
    'a chat longer than the context',
    400,
    () => ask('POST', CHAT, json({ messages: [{ role: 'user', content: 'word '.repeat(20_000) }] })),
  ],
  ['a model that nobody has', 404, () => ask('GET', '/openai/v1/models/absent')],
]

for (const [what, status, send] of cases) {
  test(`${what} is a ${status} in the API's own error shape, and says what is wrong`, async t => {
    const answer = await send()
    t.diagnostic(`${answer.status} ${String(answer.code)} ${answer.message.slice(0, 160)}`)
    assert.equal(answer.status, status, answer.text.slice(0, 300))
    if (status === 431) return
    assert.ok(typeof answer.code === 'string' && answer.code !== '')
    assert.ok(answer.message.length > 15)
    assert.doesNotMatch(answer.text, new RegExp(`${key}|node:internal|\\.ts:\\d+`))
  })
}

test('after all of that the account works as before', async () => {
  assert.match((await account.download(good)).toString(), /good data/)
  assert.notEqual(await account.chat('base'), '')
  assert.deepEqual((await account.openai.fineTuning.jobs.list()).data, [])
})
