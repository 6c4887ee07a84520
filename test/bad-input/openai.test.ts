import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { blobDigests } from '../../src/harness/search-folder.ts'
import { ask, checkTells, type Answered } from '../support/asking.ts'
import { Azure, BASE_MODEL } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('input')
const neighbour = await azure.account('neighbour')
const key = String(account.openai.apiKey)
const neighbourKey = String(neighbour.openai.apiKey)
const host = `https://input${azure.endpoints.openAiSuffix}`
const good = await account.upload('good data')
const foreign = await neighbour.upload('other data')
await account.deploy('base', BASE_MODEL)

const CHAT = '/openai/deployments/base/chat/completions?api-version=2024-10-21'
const FILES = '/openai/v1/files'
const JOBS = '/openai/v1/fine_tuning/jobs'
const MODELS = '/openai/v1/models'
const noFile = `file-${'0'.repeat(32)}`
const noJob = `ftjob-${'0'.repeat(32)}`
const job = { model: BASE_MODEL, training_file: good }
const chat = { messages: [{ role: 'user', content: 'Hello' }] }

type Headers = Readonly<Record<string, string>>
const send =
  (method: string, path: string, body?: unknown, headers: Headers = { 'api-key': key }) =>
  () =>
    ask({
      method,
      url: `${host}${path}`,
      headers: body === undefined ? headers : { ...headers, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
const newJob = (change: object) => send('POST', JOBS, { ...job, ...change })
const tuned = (hyperparameters: object) => newJob({ hyperparameters })
const words = (count: number) => ({ messages: [{ role: 'user', content: 'word '.repeat(count) }] })

/** What a client sends wrong; the status, code and param that it must get, and what the message must say. */
type Case = readonly [
  what: string,
  status: number,
  code: string,
  param: string | null,
  message: RegExp,
  send: () => Promise<Answered>,
]

const WRONG_KEY = /^Access denied due to invalid subscription key or wrong API endpoint\. /
const CALLERS: readonly Case[] = [
  ['no key', 401, '401', null, WRONG_KEY, send('GET', FILES, undefined, {})],
  ['an empty key', 401, '401', null, WRONG_KEY, send('GET', FILES, undefined, { 'api-key': '' })],
  ['a wrong key', 401, '401', null, WRONG_KEY, send('GET', FILES, undefined, { 'api-key': 'f'.repeat(64) })],
  ['half a key', 401, '401', null, WRONG_KEY, send('GET', FILES, undefined, { 'api-key': key.slice(0, 32) })],
  ['a key of 10 kB', 401, '401', null, WRONG_KEY, send('GET', FILES, undefined, { 'api-key': key.repeat(160) })],
  ["a neighbour's key", 401, '401', null, WRONG_KEY, send('GET', FILES, undefined, { 'api-key': neighbourKey })],
  [
    'a wrong key as a bearer',
    401,
    '401',
    null,
    WRONG_KEY,
    send('GET', FILES, undefined, { authorization: 'Bearer f' }),
  ],
  ['an unknown route', 404, '404', null, /nothing at GET/, send('GET', '/openai/v1/nothing')],
  ['another method', 405, 'MethodNotAllowed', null, /Possible: GET, POST/, send('PUT', FILES)],
  ['no api-version', 400, 'InvalidApiVersionParameter', null, /api-version=2024-10-21/, send('GET', '/openai/files')],
  [
    'an api-version of words',
    400,
    'InvalidApiVersionParameter',
    null,
    /\/openai\/v1\//,
    send('GET', '/openai/files?api-version=latest'),
  ],
  [
    'an api-version of no day',
    400,
    'InvalidApiVersionParameter',
    null,
    /api-version/,
    send('GET', '/openai/files?api-version=2024-13-45'),
  ],
]

const IDS: readonly Case[] = [
  ['an invalid file id', 404, 'notFound', null, /file 'not-a-file'/, send('GET', `${FILES}/not-a-file`)],
  [
    'a file id that nobody has',
    404,
    'notFound',
    null,
    /was not found in this resource/,
    send('GET', `${FILES}/${noFile}`),
  ],
  ["a neighbour's file", 404, 'notFound', null, /was not found/, send('GET', `${FILES}/${foreign}/content`)],
  ["a neighbour's file deleted", 404, 'notFound', null, /was not found/, send('DELETE', `${FILES}/${foreign}`)],
  ['a file id with a climb in it', 404, 'notFound', null, /was not found/, send('GET', `${FILES}/..%2F..%2Froot.key`)],
  ['an invalid job id', 404, 'notFound', null, /job 'x'/, send('GET', `${JOBS}/x`)],
  ['a job id that nobody has', 404, 'notFound', null, /was not found/, send('POST', `${JOBS}/${noJob}/cancel`)],
  ['events of no job', 404, 'notFound', null, /was not found/, send('GET', `${JOBS}/${noJob}/events`)],
  ['checkpoints of no job', 404, 'notFound', null, /was not found/, send('GET', `${JOBS}/${noJob}/checkpoints`)],
  [
    'a limit that is not a number',
    400,
    'invalidPayload',
    'limit',
    /whole number from 1 to 100/,
    send('GET', `${JOBS}?limit=many`),
  ],
  ['a limit of nothing', 400, 'invalidPayload', 'limit', /from 1 to 100/, send('GET', `${JOBS}?limit=`)],
  ['a limit of 0', 400, 'invalidPayload', 'limit', /from 1 to 10000/, send('GET', `${FILES}?limit=0`)],
  ['a limit in hexadecimal', 400, 'invalidPayload', 'limit', /from 1 to 100/, send('GET', `${JOBS}?limit=0x10`)],
  ['an unknown order', 400, 'invalidPayload', 'order', /order/, send('GET', `${FILES}?order=random`)],
  ['an invalid cursor', 404, 'notFound', null, /was not found/, send('GET', `${FILES}?after=x`)],
  ['a model that nobody has', 404, 'notFound', null, /model 'absent'/, send('GET', `${MODELS}/absent`)],
  ['a base model deleted', 400, 'invalidPayload', 'model', /base model/, send('DELETE', `${MODELS}/${BASE_MODEL}`)],
]

const BODIES: readonly Case[] = [
  [
    'a job without a model',
    400,
    'invalidPayload',
    'model',
    /'model' does not fit: it is missing/,
    send('POST', JOBS, { training_file: good }),
  ],
  [
    'a job with an unknown model',
    400,
    'invalidPayload',
    'model',
    /capabilities\.fine_tune/,
    newJob({ model: 'gpt-99' }),
  ],
  ['a job with a number for a model', 400, 'invalidPayload', 'model', /not number/, newJob({ model: 7 })],
  [
    'a job without a file',
    400,
    'invalidPayload',
    'training_file',
    /it is missing/,
    send('POST', JOBS, { model: BASE_MODEL }),
  ],
  [
    'a job with an unknown file',
    400,
    'invalidPayload',
    'training_file',
    /Upload it first/,
    newJob({ training_file: noFile }),
  ],
  [
    "a job with a neighbour's file",
    400,
    'invalidPayload',
    'training_file',
    /Upload it first/,
    newJob({ training_file: foreign }),
  ],
  [
    'a job that validates with nothing',
    400,
    'invalidPayload',
    'validation_file',
    /Upload it first/,
    newJob({ validation_file: noFile }),
  ],
  ['a job of zero epochs', 400, 'invalidPayload', 'hyperparameters.n_epochs', /n_epochs/, tuned({ n_epochs: 0 })],
  [
    'a job of a million epochs',
    400,
    'invalidPayload',
    'hyperparameters.n_epochs',
    /n_epochs/,
    tuned({ n_epochs: 1e6 }),
  ],
  [
    'a job of half an epoch',
    400,
    'invalidPayload',
    'hyperparameters.n_epochs',
    /whole number from 1 to 1000/,
    tuned({ n_epochs: 0.5 }),
  ],
  [
    'a batch of text',
    400,
    'invalidPayload',
    'hyperparameters.batch_size',
    /'auto' \(or -1\) or a whole number/,
    tuned({ batch_size: 'big' }),
  ],
  [
    'a negative rate',
    400,
    'invalidPayload',
    'hyperparameters.learning_rate_multiplier',
    /rate/,
    tuned({ learning_rate_multiplier: -2 }),
  ],
  ['a hyperparameter of nobody', 400, 'invalidPayload', 'hyperparameters', /epochs/, tuned({ epochs: 3 })],
  [
    'a method of nobody',
    400,
    'invalidPayload',
    'method.type',
    /supervised and dpo/,
    newJob({ method: { type: 'reinforcement' } }),
  ],
  [
    'the method dpo with settings of another',
    400,
    'invalidPayload',
    'method',
    /settings of another method/,
    newJob({ method: { type: 'dpo', supervised: { hyperparameters: { n_epochs: 1 } } } }),
  ],
  [
    'a beta of 3',
    400,
    'invalidPayload',
    'method.dpo.hyperparameters.beta',
    /expected number to be <=2/,
    newJob({ method: { type: 'dpo', dpo: { hyperparameters: { beta: 3 } } } }),
  ],
  [
    'a beta of supervised training',
    400,
    'invalidPayload',
    'method.supervised.hyperparameters',
    /beta/,
    newJob({ method: { type: 'supervised', supervised: { hyperparameters: { beta: 0.1 } } } }),
  ],
  [
    'integrations',
    400,
    'invalidPayload',
    'integrations',
    /not supported/,
    newJob({ integrations: [{ type: 'wandb' }] }),
  ],
  ['a seed below 0', 400, 'invalidPayload', 'seed', /seed/, newJob({ seed: -1 })],
  ['a suffix of 41 letters', 400, 'invalidPayload', 'suffix', /1 to 40 letters/, newJob({ suffix: 'x'.repeat(41) })],
  ['a suffix with a slash', 400, 'invalidPayload', 'suffix', /1 to 40 letters/, newJob({ suffix: '../x' })],
  [
    'a chat with nobody',
    404,
    'DeploymentNotFound',
    null,
    /API deployment for this resource/,
    send('POST', CHAT.replace('base', 'absent'), chat),
  ],
  [
    'a chat with a space',
    404,
    'DeploymentNotFound',
    null,
    /deployment/,
    send('POST', CHAT.replace('base', 'a%20b'), chat),
  ],
  [
    'a v1 chat without a model',
    400,
    'missing_required_parameter',
    'model',
    /name of a deployment/,
    send('POST', '/openai/v1/chat/completions', chat),
  ],
  [
    'a v1 chat with a zero byte',
    404,
    'DeploymentNotFound',
    null,
    /deployment/,
    send('POST', '/openai/v1/chat/completions', { ...chat, model: 'a\0b' }),
  ],
  [
    'a chat that is too hot',
    400,
    'decimal_above_max_value',
    'temperature',
    /got 9 instead/,
    send('POST', CHAT, { ...chat, temperature: 9 }),
  ],
  [
    'a chat with tools',
    400,
    'unsupported_parameter',
    'tools',
    /'tools' is not supported/,
    send('POST', CHAT, { ...chat, tools: [{}] }),
  ],
  [
    'a chat too long for the context',
    400,
    'context_length_exceeded',
    'messages',
    /maximum context length is \d+ tokens/,
    send('POST', CHAT, words(20_000)),
  ],
  [
    'a streamed chat too long for the context',
    400,
    'context_length_exceeded',
    'messages',
    /tokens/,
    send('POST', CHAT, { ...words(20_000), stream: true }),
  ],
]

const blobs = await blobDigests(cloud.dataDir)
async function checkUnchanged(): Promise<void> {
  assert.deepEqual(
    (await account.openai.files.list()).data.map(({ id }) => id),
    [good],
  )
  assert.deepEqual((await account.openai.fineTuning.jobs.list()).data, [])
  assert.deepEqual(await blobDigests(cloud.dataDir), blobs)
}

for (const [what, status, code, param, message, attempt] of [...CALLERS, ...IDS, ...BODIES]) {
  test(`${what}: ${status} ${code}, and nothing is made`, async () => {
    const answer = await attempt()
    const { error } = JSON.parse(answer.text) as { error: Record<string, unknown> }
    assert.deepEqual([answer.status, error['code'], error['param']], [status, code, param], answer.text.slice(0, 300))
    assert.match(String(error['message']), message)
    assert.equal(error['type'], status === 401 ? 'authentication_error' : 'invalid_request_error')
    assert.equal(answer.headers['x-request-id'], answer.headers['apim-request-id'])
    checkTells(answer.text, [key, neighbourKey])
    await checkUnchanged()
  })
}

test('a job that ended can be neither cancelled, paused nor resumed: 409, which clients do not try again', async () => {
  const { id } = await account.openai.fineTuning.jobs.create({ ...job, hyperparameters: { n_epochs: 1000 } })
  await account.openai.fineTuning.jobs.cancel(id)
  await account.jobIs(id, ['cancelled'])
  for (const action of ['cancel', 'pause', 'resume']) {
    const answer = await send('POST', `${JOBS}/${id}/${action}`)()
    const { error } = JSON.parse(answer.text) as { error: { code: string; message: string } }
    assert.deepEqual([answer.status, error.code], [409, 'unexpectedEntityState'])
    assert.match(error.message, /is cancelled: it can't be/)
    assert.equal(answer.headers['x-should-retry'], 'false')
  }
})
