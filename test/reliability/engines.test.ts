import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Azure, BASE_MODEL, pause } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { engineIds, engineOf, groupOf, isThere } from '../support/engine-processes.ts'
import { messagesOf, resultSteps, stepsOf, untilStep } from '../support/job-steps.ts'

/** The shortest possible, since tests wait for it. */
const TIMEOUT_SECONDS = 3
const cloud = await cloudFor({ after }, ['--engine-timeout-seconds', String(TIMEOUT_SECONDS)])
const azure = await Azure.in(cloud.endpoints)
const [account, other] = [await azure.account('engines'), await azure.account('neighbours')]
const file = await account.upload('engines', 'train.jsonl', 100)
const hyperparameters = { n_epochs: 4, batch_size: 1 }
const steps = Array.from({ length: 400 }, (_, index) => index + 1)

test('L6: a trainer that is killed is tried again from its last checkpoint, and the event says why', async () => {
  const jobId = await account.train(file, { hyperparameters })
  await untilStep(account, jobId, 150)
  process.kill(await engineOf(cloud.pid, 'trainer'), 'SIGKILL')
  await account.jobIs(jobId, ['pending'])
  await account.jobIs(jobId, ['succeeded'], 120)
  const messages = await messagesOf(account, jobId)
  const why = messages.find(message => /interrupted/.test(message)) ?? ''
  assert.match(why, /SIGKILL.*goes on from its last checkpoint.*try 1 of 5/u)
  assert.deepEqual(await resultSteps(account, jobId), steps)
  const done = await stepsOf(account, jobId)
  assert.ok(done.filter(step => step <= 100).length === 50, 'the first epoch, which was kept, was done twice')
})

test('a trainer that hangs (SIGSTOP) is ended and tried again', async () => {
  const jobId = await account.train(file, { hyperparameters })
  await untilStep(account, jobId, 10)
  process.kill(await engineOf(cloud.pid, 'trainer'), 'SIGSTOP')
  const waiting = await other.train(await other.upload(), { hyperparameters: { n_epochs: 1, batch_size: 4 } })
  await other.jobIs(waiting, ['succeeded'], TIMEOUT_SECONDS + 60)
  await account.jobIs(jobId, ['succeeded'], 120)
  const messages = await messagesOf(account, jobId)
  assert.ok(
    messages.some(message => /gave no sign of life for 3 s and was ended/u.test(message)),
    messages.join('\n'),
  )
  assert.deepEqual(await resultSteps(account, jobId), steps)
})

test('a trainer that is killed whenever it starts fails its job after five tries', async () => {
  const jobId = await account.train(file, { hyperparameters })
  const killed: number[] = []
  for (let n = 0; n < 6; n += 1) {
    killed.push(await engineOf(cloud.pid, 'trainer', killed))
    process.kill(killed.at(-1) ?? 0, 'SIGKILL')
  }
  for (let n = 0; n < 100 && (await account.openai.fineTuning.jobs.retrieve(jobId)).status !== 'failed'; n += 1)
    await pause(100)
  const { status, error } = await account.openai.fineTuning.jobs.retrieve(jobId)
  assert.equal(status, 'failed')
  assert.match(error?.message ?? '', /SIGKILL.*after 5 tries without a checkpoint/u)
  const tries = (await messagesOf(account, jobId)).filter(message => /begins again.*\(try \d of 5\)/u.test(message))
  assert.equal(tries.length, 5)
})

test('chats that wait for a model that hangs get 503 with retry-after, and the next is answered by a new process', async () => {
  await account.deploy('hangs', BASE_MODEL)
  assert.notEqual(await account.chat('hangs'), '')
  const stopped = await engineOf(cloud.pid, 'inference')
  process.kill(stopped, 'SIGSTOP')
  const url = `https://${account.name}${cloud.endpoints.openAiSuffix}/openai/v1/chat/completions`
  const body = JSON.stringify({ model: 'hangs', messages: [{ role: 'user', content: 'Say number 3.' }] })
  const headers = { 'api-key': String(account.openai.apiKey), 'content-type': 'application/json' }
  const began = performance.now()
  const answers = await Promise.all(
    Array.from({ length: 32 }, async () => {
      const response = await fetch(url, { method: 'POST', headers, body })
      return { status: response.status, retry: response.headers.get('retry-after'), text: await response.text() }
    }),
  )
  assert.ok(performance.now() - began < (TIMEOUT_SECONDS + 5) * 1000)
  for (const { status, retry, text } of answers) {
    assert.equal(status, 503, text)
    assert.equal(retry, '2')
    assert.match(text, /gave no sign of life for 3 s.*repeat the request/u)
  }
  assert.notEqual(await account.chat('hangs'), '')
  assert.ok(!isThere(stopped))
})

test('a stream whose model hangs in the middle of the answer ends with an error event', async () => {
  // Some answers end before the model can be stopped. One of these seeds makes a long one.
  for (let seed = 1; seed <= 40; seed += 1) {
    const text = await stoppedStream(seed)
    if (text.includes('[DONE]')) continue
    assert.match(text, /"error":\{"code":"503".*gave no sign of life for 3 s/u)
    return
  }
  assert.fail('every answer was over at once')
})

/** The outcome of a stream whose model is stopped at its first words. */
async function stoppedStream(seed: number): Promise<string> {
  const url = `https://${account.name}${cloud.endpoints.openAiSuffix}/openai/v1/chat/completions`
  const messages = [{ role: 'user', content: 'Tell me a long story.' }]
  const body = JSON.stringify({ model: 'hangs', messages, stream: true, temperature: 2, max_tokens: 900, seed })
  const headers = { 'api-key': String(account.openai.apiKey), 'content-type': 'application/json' }
  const id = await engineOf(cloud.pid, 'inference')
  const response = await fetch(url, { method: 'POST', headers, body })
  process.kill(id, 'SIGSTOP')
  assert.equal(response.status, 200)
  let text = ''
  const keep = new WritableStream<Uint8Array>({ write: chunk => void (text += Buffer.from(chunk).toString()) })
  // After the event the connection is cut.
  await response.body?.pipeTo(keep).catch(() => undefined)
  if (text.includes('[DONE]')) process.kill(id, 'SIGCONT')
  return text
}

test('a deployment whose model hangs while it loads is answered with 503, and serves later', async () => {
  const before = engineIds(cloud.pid, 'inference')
  const deploying = other.deploy('slow-start', BASE_MODEL)
  process.kill(await engineOf(cloud.pid, 'inference', before), 'SIGSTOP')
  const { status, headers, body } = await deploying
  assert.equal(status, 503, JSON.stringify(body))
  assert.equal(headers.get('retry-after'), '2')
  assert.equal((await other.deploy('slow-start', BASE_MODEL)).status, 200)
  assert.notEqual(await other.chat('slow-start'), '')
  await other.undeploy('slow-start')
})

test('the official client gets its answer by itself when the model is killed under it', async () => {
  await account.chat('hangs')
  process.kill(await engineOf(cloud.pid, 'inference'), 'SIGSTOP')
  const asking = account.chat('hangs')
  await pause(200)
  for (const id of engineIds(cloud.pid, 'inference')) process.kill(id, 'SIGKILL')
  assert.notEqual(await asking, '')
})

test('SIGTERM to everything, as systemd sends it, pauses jobs with a checkpoint', async () => {
  const jobId = await account.train(file, { hyperparameters })
  await untilStep(account, jobId, 20)
  const engines = [...engineIds(cloud.pid, 'trainer'), ...engineIds(cloud.pid, 'inference')]
  assert.equal(engines.length, 2)
  const groups = [cloud.pid, ...engines].map(groupOf)
  assert.equal(new Set(groups).size, 3, 'each engine has a group of its own')
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) for (const id of engines) process.kill(id, signal)
  await cloud.restart()
  assert.deepEqual(engines.filter(isThere), [])
  await account.jobIs(jobId, ['succeeded'], 120)
  const messages = await messagesOf(account, jobId)
  assert.ok(!messages.some(message => /interrupted/u.test(message)), messages.join('\n'))
  const done = await stepsOf(account, jobId)
  assert.equal(done.length, new Set(done).size, 'no step was done twice')
  assert.deepEqual(await resultSteps(account, jobId), steps)
})

test('engines end with the service, however it ends', async () => {
  await account.chat('hangs')
  const jobId = await account.train(file, { hyperparameters })
  await untilStep(account, jobId, 5)
  const engines = [await engineOf(cloud.pid, 'trainer'), await engineOf(cloud.pid, 'inference')]
  for (const id of engines) process.kill(id, 'SIGSTOP')
  await cloud.kill()
  for (let n = 0; n < 20 && engines.some(isThere); n += 1) await pause(100)
  assert.deepEqual(engines.filter(isThere), [])
  await cloud.restart('kill')
  await account.jobIs(jobId, ['succeeded'], 120)
})
