import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, test } from 'node:test'
import OpenAI, { APIError, AuthenticationError, AzureOpenAI, BadRequestError, NotFoundError, toFile } from 'openai'
import { Azure, BASE_MODEL } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import * as shapes from './openai-shapes.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('shapes')
const host = `https://shapes${cloud.endpoints.openAiSuffix}`
const apiKey = String(account.openai.apiKey)
const training = await readFile(new URL('../data/marv.jsonl', import.meta.url))
const apiVersion = '2024-10-21'
const azureADTokenProvider = async (): Promise<string> =>
  (await azure.credential.getToken('https://cognitiveservices.azure.com/.default'))?.token ?? ''

/** The ways in which the official package reaches Azure OpenAI, without retries, so that failures show at once. */
const CLIENTS: Readonly<Record<string, OpenAI>> = {
  'AzureOpenAI with a key': new AzureOpenAI({ endpoint: host, apiKey, apiVersion, maxRetries: 0 }),
  'AzureOpenAI with a token provider': new AzureOpenAI({
    endpoint: host,
    azureADTokenProvider,
    apiVersion,
    maxRetries: 0,
  }),
  'OpenAI on v1': new OpenAI({ baseURL: `${host}/openai/v1/`, apiKey, maxRetries: 0 }),
  'OpenAI on v1 with a token': new OpenAI({
    baseURL: `${host}/openai/v1/`,
    apiKey: azureADTokenProvider,
    maxRetries: 0,
  }),
}
const v1 = CLIENTS['OpenAI on v1'] as OpenAI
const upload = async (client: OpenAI, name: string) =>
  client.files.create({ file: await toFile(training, name), purpose: 'fine-tune' })
const deployment = { model: 'base', messages: [{ role: 'user' as const, content: 'Say number 3.' }] }
await account.deploy('base', BASE_MODEL)

/** The client only adds the request's id, which is not enumerable. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

for (const [name, client] of Object.entries(CLIENTS)) {
  test(`${name}: files have every field that the client declares, and no other · R03`, async () => {
    const made = await upload(client, `${name} 文件.jsonl`)
    shapes.file.parse(plain(made))
    assert.deepEqual([made.filename, made.bytes], [`${name} 文件.jsonl`, training.length])
    assert.deepEqual(plain(await client.files.retrieve(made.id)), plain(made))
    assert.equal((await client.files.waitForProcessing(made.id)).status, 'processed')
    const second = await upload(client, 'second.jsonl')
    const listed: string[] = []
    for await (const file of client.files.list({ limit: 1, purpose: 'fine-tune', order: 'asc' })) {
      shapes.file.parse(plain(file))
      listed.push(file.id)
    }
    assert.deepEqual(listed, [made.id, second.id])
    const content = await client.files.content(made.id)
    assert.deepEqual(Buffer.from(await content.arrayBuffer()), training)
    for (const { id } of [made, second]) {
      assert.deepEqual(plain(await client.files.delete(id)), { id, object: 'file', deleted: true })
    }
    await assert.rejects(client.files.retrieve(made.id), NotFoundError)
  })

  test(`${name}: models and completions have every field that the client declares, and no other · R03`, async () => {
    const models = (await client.models.list()).data
    for (const model of models) shapes.baseModel.parse(plain(model))
    assert.deepEqual(plain(await client.models.retrieve(BASE_MODEL)), plain(models.find(({ id }) => id === BASE_MODEL)))
    const { data, request_id: requestId } = await client.chat.completions
      .create({ ...deployment, max_tokens: 4, temperature: 0 })
      .withResponse()
    const answer = shapes.completion.parse(plain(data))
    assert.match(String(requestId), /^[0-9a-f-]{36}$/)
    assert.deepEqual([answer.choices[0]?.finish_reason, answer.usage.completion_tokens], ['length', 4])
    const chunks: unknown[] = []
    const streamed = await client.chat.completions.create({
      ...deployment,
      max_tokens: 4,
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
    })
    let text = ''
    for await (const chunk of streamed) {
      shapes.chunkWithUsage.parse(plain(chunk))
      text += chunk.choices[0]?.delta.content ?? ''
      chunks.push(chunk)
    }
    const [first, last] = [chunks[0], chunks.at(-1)] as OpenAI.ChatCompletionChunk[]
    assert.equal(first?.choices[0]?.delta.role, 'assistant')
    assert.deepEqual([last?.choices, plain(last?.usage)], [[], plain(data.usage)])
    assert.deepEqual([text, first?.system_fingerprint], [answer.choices[0]?.message.content, data.system_fingerprint])
    assert.equal((chunks.at(-2) as OpenAI.ChatCompletionChunk).choices[0]?.finish_reason, 'length')
  })
}

test('a stream has no usage unless it was asked for', async () => {
  const stream = v1.chat.completions.stream({ ...deployment, max_completion_tokens: 4, temperature: 0 })
  for await (const chunk of stream) shapes.chunk.parse(plain(chunk))
  const whole = await stream.finalChatCompletion()
  const direct = await v1.chat.completions.create({ ...deployment, max_completion_tokens: 4, temperature: 0 })
  assert.equal(whole.choices[0]?.message.content, direct.choices[0]?.message.content)
  assert.equal(whole.usage, undefined)
})

test('sampling obeys seed, temperature and top_p at their limits, and stop sequences', async () => {
  const ask = async (more: object) =>
    (await v1.chat.completions.create({ ...deployment, max_tokens: 12, ...more })).choices[0]
  const greedy = await ask({ temperature: 0 })
  assert.equal((await ask({ top_p: 0, temperature: 1 }))?.message.content, greedy?.message.content)
  assert.deepEqual(await ask({ temperature: 2, seed: -5 }), await ask({ temperature: 2, seed: -5 }))
  const stop = greedy?.message.content?.slice(2, 4) ?? ''
  const stopped = await ask({ temperature: 0, stop })
  assert.deepEqual(
    [stopped?.finish_reason, stopped?.message.content],
    ['stop', greedy?.message.content?.slice(0, greedy.message.content.indexOf(stop))],
  )
})

test('a client that goes away in the middle of a stream frees the model for the next one', async () => {
  const stream = await v1.chat.completions.create({ ...deployment, temperature: 2, stream: true })
  for await (const _ of stream) break
  assert.equal((await v1.chat.completions.create({ ...deployment, max_tokens: 1 })).usage?.completion_tokens, 1)
})

test('jobs, events, checkpoints and fine-tuned models have every field that the client declares, and no other', async () => {
  const [train, valid] = [await upload(v1, 'train.jsonl'), await upload(v1, 'valid.jsonl')]
  const job = await v1.fineTuning.jobs.create({
    model: BASE_MODEL,
    training_file: train.id,
    validation_file: valid.id,
    suffix: 'shapes',
    seed: 7,
    method: { type: 'supervised', supervised: { hyperparameters: { n_epochs: 3, batch_size: 4 } } },
  })
  shapes.unfinishedJob.parse(plain(job))
  assert.deepEqual([job.seed, job.hyperparameters.n_epochs], [7, 3])
  const done = await account.jobIs(job.id, ['succeeded'])
  for (const client of Object.values(CLIENTS)) {
    assert.deepEqual(plain(await client.fineTuning.jobs.retrieve(job.id)), plain(done))
    const ids: string[] = []
    for await (const one of client.fineTuning.jobs.list({ limit: 1 })) ids.push(one.id)
    assert.deepEqual(ids, [job.id])
  }
  const { fine_tuned_model: modelName, result_files: results } = shapes.succeededJob.parse(plain(done))
  await checkEvents(job.id)
  const steps: number[] = []
  for await (const one of v1.fineTuning.jobs.checkpoints.list(job.id, { limit: 1 })) {
    steps.push(shapes.checkpoint.parse(plain(one)).step_number)
  }
  assert.deepEqual(
    steps,
    steps.toSorted((a, b) => b - a),
  )
  assert.ok(steps.length > 1)
  const result = shapes.file.parse(plain(await v1.files.retrieve(results[0] ?? '')))
  assert.deepEqual([result.purpose, result.filename], ['fine-tune-results', 'results.csv'])
  const model = shapes.fineTunedModel.parse(plain(await v1.models.retrieve(modelName)))
  assert.deepEqual([model.fine_tune, model.model.length > 0], [job.id, true])
  assert.deepEqual(plain(await v1.models.delete(modelName)), { id: modelName, object: 'model', deleted: true })
  await assert.rejects(v1.models.retrieve(modelName), NotFoundError)
})

async function checkEvents(jobId: string): Promise<void> {
  const events = []
  for await (const event of v1.fineTuning.jobs.listEvents(jobId, { limit: 2 }))
    events.push(shapes.event.parse(plain(event)))
  assert.equal(new Set(events.map(({ id }) => id)).size, events.length)
  assert.deepEqual([events[0]?.message, events.at(-1)?.message.slice(0, 12)], ['Job succeeded.', 'Job enqueued'])
  assert.ok(events.some(({ type, data }) => type === 'metrics' && data !== null && 'full_valid_loss' in data))
}

const REFUSALS: readonly [
  what: string,
  attempt: () => Promise<unknown>,
  kind: new (...given: never[]) => Error,
  code: string,
  param: string | null,
][] = [
  [
    'an unknown deployment',
    () => v1.chat.completions.create({ ...deployment, model: 'absent' }),
    NotFoundError,
    'DeploymentNotFound',
    null,
  ],
  [
    'a temperature of 3',
    () => v1.chat.completions.create({ ...deployment, temperature: 3 }),
    BadRequestError,
    'decimal_above_max_value',
    'temperature',
  ],
  ['an unknown file', () => v1.files.retrieve('file-x'), NotFoundError, 'notFound', null],
  [
    'an unknown training file',
    () => v1.fineTuning.jobs.create({ model: BASE_MODEL, training_file: 'file-x' }),
    BadRequestError,
    'invalidPayload',
    'training_file',
  ],
  [
    'a wrong key',
    () => new OpenAI({ baseURL: `${host}/openai/v1/`, apiKey: 'wrong', maxRetries: 0 }).models.list(),
    AuthenticationError,
    '401',
    null,
  ],
  ['a base model deleted', () => v1.models.delete(BASE_MODEL), BadRequestError, 'invalidPayload', 'model'],
]

for (const [what, attempt, kind, code, param] of REFUSALS) {
  test(`${what} is the client's ${kind.name}, with code, param, type and request id`, async () => {
    await assert.rejects(attempt, error => {
      assert.ok(error instanceof kind)
      assert.ok(error instanceof APIError)
      assert.deepEqual([error.code, error.param], [code, param])
      assert.match(String(error.type), /^(invalid_request|authentication)_error$/)
      assert.match(String(error.requestID), /^[0-9a-f-]{36}$/)
      return true
    })
  })
}
