import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { after, test } from 'node:test'
import { toFile } from 'openai'
import { Azure, pause, refusal, untilAllowed, untilRefused } from '../support/azure.ts'
import { cloudFor, LEASE_SECONDS } from '../support/cloud.ts'
import { stepsOf, untilStep } from '../support/job-steps.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('inflight')
const keys = await azure.vault('kv-inflight')
const { properties } = await keys.createRsaKey('cmk', { keySize: 2048 })
await azure.policy('kv-inflight', 'add', account.principalId)
const enabled = await account.encrypt({ vault: 'kv-inflight', name: 'cmk', version: properties.version })
assert.equal(enabled.status, 200, JSON.stringify(enabled.body))

async function largeFile(): Promise<{ id: string; bytes: number }> {
  const line = (n: number): string =>
    `${JSON.stringify({
      messages: [
        { role: 'user', content: `Question ${n} ${'why '.repeat(200)}` },
        { role: 'assistant', content: `Answer ${n} ${'so '.repeat(200)}` },
      ],
    })}\n`
  const content = Buffer.from(Array.from({ length: 24_000 }, (_, n) => line(n)).join(''))
  const file = await account.openai.files.create({ file: await toFile(content, 'large.jsonl'), purpose: 'fine-tune' })
  return { id: file.id, bytes: content.length }
}

test('R22: a download under way when the key is taken away is cut off within the lease', async t => {
  const { id, bytes } = await largeFile()
  const headers = { 'api-key': String(account.openai.apiKey) }
  const url = `https://inflight${azure.endpoints.openAiSuffix}/openai/v1/files/${id}/content`
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request(url, { headers }, resolve).on('error', reject).end()
  })
  assert.equal(response.statusCode, 200)
  response.on('error', () => {})
  await once(response, 'readable')
  await azure.policy('kv-inflight', 'remove', account.principalId)
  await pause((LEASE_SECONDS + 1) * 1000)
  // Only bytes that were in the sockets' buffers before may still come.
  let received = 0
  response.on('data', (chunk: Buffer) => (received += chunk.length))
  await new Promise(resolve => response.on('close', resolve))
  t.diagnostic(`${received} of ${bytes} bytes had left the service in time`)
  assert.equal(response.complete, false)
  assert.ok(received < bytes / 2)
  await azure.policy('kv-inflight', 'add', account.principalId)
  await untilAllowed(() => account.download(id))
})

test('R23: a running job pauses at its next write, says why, and goes on from its last checkpoint once resumed', async t => {
  const file = await account.upload('train on this')
  const jobId = await account.train(file, { hyperparameters: { n_epochs: 40, batch_size: 2 } })
  await untilStep(account, jobId, 30)
  await azure.policy('kv-inflight', 'remove', account.principalId)
  const started = performance.now()
  await account.jobIs(jobId, ['paused'], 30)
  t.diagnostic(`paused ${((performance.now() - started) / 1000).toFixed(2)} s after the revocation`)
  assert.ok(performance.now() - started < (LEASE_SECONDS + 3) * 1000)
  const { data } = await account.openai.fineTuning.jobs.listEvents(jobId, { limit: 5 })
  assert.ok(
    data.some(({ level, message }) => level === 'error' && /paused.*cmk/i.test(message)),
    JSON.stringify(data),
  )

  const tooEarly = await refusal(() => account.openai.fineTuning.jobs.resume(jobId))
  assert.equal(tooEarly?.status, 403)
  await azure.policy('kv-inflight', 'add', account.principalId)
  await untilAllowed(() => account.openai.fineTuning.jobs.resume(jobId))
  const finished = await account.jobIs(jobId, ['succeeded'], 90)
  const steps = await stepsOf(account, jobId)
  const results = (await account.download(finished.result_files[0] ?? '')).toString().trim().split('\n').slice(1)
  assert.deepEqual(
    results.map(line => Number(line.split(',')[0])),
    Array.from({ length: 240 }, (_, index) => index + 1),
  )
  const repeated = steps.length - new Set(steps).size
  t.diagnostic(`of ${new Set(steps).size} steps that were reported, ${repeated} were done twice`)
  assert.ok(repeated < 30, 'it went on from a checkpoint, not from the start')
  assert.equal((await account.deploy('resumed', finished.fine_tuned_model ?? '')).status, 201)
  assert.notEqual(await account.chat('resumed'), '')
})

test('R25: a deployment serves through a revocation and a restart of the service in it, until it is deleted', async () => {
  await azure.policy('kv-inflight', 'remove', account.principalId)
  const [file] = (await account.openai.files.list()).data
  await untilRefused(() => account.download(file?.id ?? ''))
  await cloud.restart()
  const answer = await account.chat('resumed')
  assert.notEqual(answer, '')
  assert.equal((await account.undeploy('resumed')).status < 300, true)
  assert.equal((await refusal(() => account.chat('resumed')))?.status, 404)
  await azure.policy('kv-inflight', 'add', account.principalId)
})
