import assert from 'node:assert/strict'
import { request } from 'node:https'
import { after, test } from 'node:test'
import { APIError, toFile } from 'openai'
import { Azure, pause, untilAllowed } from '../support/azure.ts'
import { keyedAccount } from '../support/causes.ts'
import { cloudFor, LEASE_SECONDS } from '../support/cloud.ts'
import { engineProcesses } from '../support/engine-processes.ts'
import { outsideVault } from '../support/outside-vault.ts'
import { LASTING } from '../support/troubles.ts'

/** One lease and half a second, after which no plaintext is in a child, a queue or a stream. */
const BOUND_MS = LEASE_SECONDS * 1000 + 500
const QUEUED = 31

const outside = await outsideVault({ after })
const cloud = await cloudFor({ after }, ['--outside-vaults', outside.pattern])
const azure = await Azure.in(cloud.endpoints)
const keyed = await keyedAccount(azure, 'held', outside)
const { account } = keyed
// Long answers, so that there is a queue.
const small = await examples(12, 60)
const learned = await account.train(small, { hyperparameters: { n_epochs: 20 } })
const { fine_tuned_model: model } = await account.jobIs(learned, ['succeeded'])
const big = await examples(3000, 150)

/** Ways of losing the key, what clients are told, and the way back. */
const LOSSES = [
  { how: 'revoked', told: 'AccessDenied', lose: () => outside.permit([]) },
  {
    how: 'unreachable',
    told: 'Unreachable',
    lose: async () => void (outside.trouble = LASTING['no answer at all']),
  },
] as const

for (const { how, told, lose } of LOSSES) {
  test(`R23: a job of 1,500 steps is paused and its process gone within a lease when the key is ${how}`, async t => {
    await giveBack()
    const jobId = await account.train(big, { hyperparameters: { n_epochs: 4, batch_size: 8 } })
    await account.jobIs(jobId, ['running'])
    while (engineProcesses(cloud.pid, 'trainer') === 0) await pause(20)
    await pause(1500)
    await lose()
    const gone = await within(() => engineProcesses(cloud.pid, 'trainer') === 0)
    await account.jobIs(jobId, ['paused'], 2)
    t.diagnostic(`its process was gone after ${gone.toFixed(0)} ms`)
    assert.ok(gone <= BOUND_MS, `the process was gone after ${gone.toFixed(0)} ms`)
    const { data } = await account.openai.fineTuning.jobs.listEvents(jobId, { limit: 3 })
    const why = data.find(({ level }) => level === 'error')?.message ?? ''
    assert.match(why, new RegExp(`^Job paused: .*${told}.*Resume the job`))
    await giveBack()
    await untilAllowed(() => account.openai.fineTuning.jobs.resume(jobId))
    await account.jobIs(jobId, ['running'])
    await account.openai.fineTuning.jobs.cancel(jobId)
  })

  test(`a deployment that stops with its key ends its stream and its queue within a lease when the key is ${how}`, async t => {
    await giveBack()
    await deployed('strict', 'stop')
    await deployed('lasting', 'serve')
    const process = engineProcesses(cloud.pid, 'inference')
    const streaming = stream('strict')
    await streaming.begun
    const official = officialStream('strict')
    const asked = Array.from({ length: QUEUED - 1 }, () => post('strict', { max_tokens: 900, temperature: 0 }))
    await pause(200)
    await lose()
    const lost = performance.now()
    const [answers, cut, failure, gone] = await Promise.all([
      Promise.all(asked),
      streaming.ended,
      official,
      within(() => engineProcesses(cloud.pid, 'inference') === process - 1),
    ])
    const last = Math.max(cut.at, ...answers.map(({ at }) => at)) - lost
    t.diagnostic(`the last was over after ${last.toFixed(0)} ms`)
    assert.ok(
      last <= BOUND_MS && gone <= BOUND_MS,
      `over after ${last.toFixed(0)} ms, gone after ${gone.toFixed(0)} ms`,
    )
    // An answer may have been complete before. Everything else says why.
    const refused = answers.filter(({ status }) => status !== 200)
    assert.ok(refused.length > QUEUED / 3, `${refused.length} were refused`)
    for (const { status, body } of refused) {
      assert.equal(status, 403, body)
      assert.match(body, new RegExp(`CustomerManagedKeyUnavailable.*"innererror":\\{"code":"${told}"`))
      assert.match(body, /'strict' stops when its key is unavailable/)
    }
    // Never a clean end that looks complete.
    assert.equal(cut.complete, false)
    assert.match(cut.text, /CustomerManagedKeyUnavailable/)
    t.diagnostic(`the reason came ${(cut.at - cut.saidAt).toFixed(0)} ms before the cut`)
    assert.doesNotMatch(cut.text, /\[DONE\]/)
    assert.ok(failure instanceof APIError && failure.code === 'CustomerManagedKeyUnavailable', String(failure))
    // R25: a deployment that keeps serving is not touched.
    assert.equal((await post('lasting', { max_tokens: 4 })).status, 200)
  })
}

async function giveBack(): Promise<void> {
  outside.trouble = () => 'pass'
  await outside.permit(['get', 'wrapKey', 'unwrapKey'])
  await untilAllowed(() => account.download(small), 20)
}

async function deployed(name: string, onKeyUnavailable: string): Promise<void> {
  const { status, body } = await azure.arm('PUT', `${azure.accountPath(account.name)}/deployments/${name}`, {
    sku: { name: 'Standard', capacity: 1 },
    properties: { model: { format: 'OpenAI', name: model, version: '1' }, onKeyUnavailable },
  })
  assert.ok(status < 300, JSON.stringify(body))
  assert.equal((await post(name, { max_tokens: 1 })).status, 200)
}

/** Milliseconds until it holds, ten seconds at most. */
async function within(holds: () => boolean): Promise<number> {
  const started = performance.now()
  while (!holds() && performance.now() - started < 10_000) await pause(20)
  return performance.now() - started
}

const question = { messages: [{ role: 'user', content: 'Tell me 3' }] }
const chatUrl = (deployment: string): string =>
  `https://${account.name}${azure.endpoints.openAiSuffix}/openai/deployments/${deployment}/chat/completions?api-version=2024-10-21`
const headers = { 'api-key': String(account.openai.apiKey), 'content-type': 'application/json' }

async function post(deployment: string, more: object): Promise<{ status: number; body: string; at: number }> {
  const response = await fetch(chatUrl(deployment), {
    method: 'POST',
    headers,
    body: JSON.stringify({ ...question, ...more }),
  })
  const body = await response.text()
  return { status: response.status, body, at: performance.now() }
}

/** A stream of many tokens, as they come over the connection. */
function stream(deployment: string) {
  const begun = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<{ text: string; complete: boolean; saidAt: number; at: number }>()
  const outgoing = request(chatUrl(deployment), { method: 'POST', headers }, response => {
    let [text, saidAt] = ['', 0]
    response.on('error', () => {})
    response.on('data', (part: Buffer) => {
      text += part.toString()
      saidAt = performance.now()
      if (text.split('data: ').length > 3) begun.resolve()
    })
    response.on('close', () => ended.resolve({ text, complete: response.complete, saidAt, at: performance.now() }))
  })
  outgoing.on('error', ended.reject)
  outgoing.end(JSON.stringify({ ...question, stream: true, max_tokens: 900, temperature: 0 }))
  return { begun: begun.promise, ended: ended.promise }
}

/** The official client's error for a stream that is cut while it runs or waits. */
async function officialStream(deployment: string): Promise<unknown> {
  try {
    const deltas = await account.openai.chat.completions.create({
      model: deployment,
      messages: [{ role: 'user', content: 'Tell me 3' }],
      max_tokens: 900,
      temperature: 0,
      stream: true,
    })
    for await (const _ of deltas);
    return 'it ended as if it were whole'
  } catch (error) {
    return error
  }
}

async function examples(count: number, words: number): Promise<string> {
  const line = (n: number): string =>
    JSON.stringify({
      messages: [
        { role: 'user', content: `Tell me ${n}` },
        { role: 'assistant', content: `word${n} `.repeat(words) },
      ],
    })
  const content = Buffer.from(Array.from({ length: count }, (_, n) => line(n)).join('\n'))
  const file = await toFile(content, 'big.jsonl')
  return (await account.openai.files.create({ file, purpose: 'fine-tune' })).id
}
