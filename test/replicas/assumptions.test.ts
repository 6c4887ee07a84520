import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Azure, BASE_MODEL, pause, refusal, untilAllowed, untilRefused } from '../support/azure.ts'
import { keyedAccount } from '../support/causes.ts'
import { LEASE_SECONDS } from '../support/cloud.ts'
import { jobsAgainstDeletions } from '../support/job-steps.ts'
import { TwoServices } from '../support/two-services.ts'

/*
 * A service must not assume that it is alone. There is one test for each former assumption, with a request that changes something at one
 * service and one that depends on it at the other.
 */
const BOTH = [0, 1] as const
const two = await TwoServices.open({ after })
const azure = await Azure.in(two.endpoints)
const keyed = await keyedAccount(azure, 'shared')
const { account } = keyed
const file = await account.upload('of both')
const names = ['first', 'second']
for (const name of names) await keyed.keys.createRsaKey(name, { keySize: 2048 })
const reEncryption = `${azure.accountPath('shared')}/reEncryption`

async function atBoth<T>(run: (which: 0 | 1) => Promise<T>): Promise<T[]> {
  const found: T[] = []
  for (const which of BOTH) found.push(await two.at(which, () => run(which)))
  return found
}

test('R19: a policy that is removed at one service no longer counts at the other', async () => {
  await atBoth(() => account.download(file))
  await two.at(0, () => azure.policy(keyed.vault, 'remove', account.principalId))
  const refused = await two.at(1, () => untilRefused(() => account.download(file)))
  assert.ok(refused.seconds <= LEASE_SECONDS + 0.5, `${refused.seconds} s`)
  await two.at(1, () => azure.policy(keyed.vault, 'add', account.principalId))
  for (const text of await atBoth(() => account.download(file))) assert.match(text.toString(), /of both/)
})

test('the state of a key that one service learns is shown by the other too', async () => {
  await two.at(0, () => azure.policy(keyed.vault, 'remove', account.principalId))
  await two.at(0, () => untilRefused(() => account.download(file)))
  for (const { status } of await atBoth(() => account.encryption())) assert.equal(status.state, 'KeyUnavailable')
  await two.at(0, () => azure.policy(keyed.vault, 'add', account.principalId))
  await two.at(0, () => untilAllowed(() => account.download(file)))
  for (const { status } of await atBoth(() => account.encryption())) assert.equal(status.state, 'Active')
})

test('K2: of two changes of key at the same time, one at each service, one succeeds', async () => {
  for (let round = 0; round < 4; round += 1) {
    // Two requests at once, one to each service.
    const changes = await Promise.all(
      BOTH.map(n => account.encrypt({ uri: keyed.uri, name: names[(n + round) % 2] ?? '' })),
    )
    const statuses = changes.map(({ status }) => status)
    const told = JSON.stringify(changes.map(({ body }) => body?.error))
    assert.ok(
      statuses.every(status => status === 200 || status === 409),
      told + JSON.stringify(two.logged.slice(-6)),
    )
    assert.ok(statuses.includes(200))
    for (const text of await atBoth(() => account.download(file))) assert.match(text.toString(), /of both/)
  }
})

test('K2: a change of key at one service goes on while the other starts, which drops rows of changes that were broken off', async () => {
  const start = { isOver: false }
  const started = two.restartOne(1).finally(() => (start.isOver = true))
  for (let turn = 0; !start.isOver || turn < 2; turn += 1) {
    const name = names[turn % 2] ?? ''
    const { status, body } = await two.at(0, () => account.encrypt({ uri: keyed.uri, name }))
    assert.equal(status, 200, JSON.stringify(body))
  }
  await started
  for (const text of await atBoth(() => account.download(file))) assert.match(text.toString(), /of both/)
})

test('R26: data that one service re-encrypts is opened by the other at once', async () => {
  await atBoth(() => account.download(file))
  const begun = await two.at(0, () => azure.arm('POST', `${azure.accountPath('shared')}/reEncrypt`))
  assert.equal(begun.status, 202, JSON.stringify(begun.body))
  const during = await two.at(1, () => account.upload('stored meanwhile'))
  for (;;) {
    for (const text of await atBoth(() => account.download(file))) assert.match(text.toString(), /of both/)
    const { body } = await azure.arm('GET', reEncryption)
    if (body.status !== 'InProgress') {
      assert.equal(body.status, 'Succeeded', JSON.stringify(body))
      break
    }
    await pause(100)
  }
  for (const text of await atBoth(() => account.download(during))) assert.match(text.toString(), /stored meanwhile/)
})

test('an upload at one service goes on while the other one starts', async () => {
  const line = (n: number): string =>
    `${JSON.stringify({
      messages: [
        { role: 'user', content: `Say ${n}.` },
        { role: 'assistant', content: `slow ${n}` },
      ],
    })}\n`
  const [begun, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  async function* body(): AsyncGenerator<Buffer> {
    yield Buffer.from('--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n')
    yield Buffer.from('--b\r\ncontent-disposition: form-data; name="file"; filename="slow.jsonl"\r\n\r\n')
    for (let n = 0; n < 12; n += 1) yield Buffer.from(line(n))
    begun.resolve()
    await go.promise
    yield Buffer.from(`${line(12)}\r\n--b--\r\n`)
  }
  const url = `https://${account.name}${two.endpoints.openAiSuffix}/openai/v1/files`
  const headers = { 'api-key': String(account.openai.apiKey), 'content-type': 'multipart/form-data; boundary=b' }
  const sent = two.at(0, () => fetch(url, { method: 'POST', headers, body: body(), duplex: 'half' }))
  await begun.promise
  await pause(200)
  await two.restartOne(1)
  go.resolve()
  const answer = await sent
  const kept = (await answer.json()) as { id: string }
  assert.ok(answer.ok, JSON.stringify(kept))
  for (const text of await atBoth(() => account.download(kept.id))) assert.match(text.toString(), /slow 12/)
})

test('a list has what both services made in the order in which it was made', async () => {
  const made: string[] = []
  for (let n = 0; n < 8; n += 1) made.push(await two.at(n % 2 === 0 ? 0 : 1, () => account.upload(`in turn ${n}`)))
  for (const page of await atBoth(() => account.openai.files.list({ order: 'desc', limit: 8 })))
    assert.deepEqual(page.data.map(({ id }) => id).toReversed(), made)
})

test('a job that one service runs can be paused, resumed and cancelled at the other', async () => {
  const long = { hyperparameters: { n_epochs: 60, batch_size: 2 } }
  const job = await two.at(0, () => account.train(file, long))
  await account.jobIs(job, ['running'])
  const { jobs } = account.openai.fineTuning
  // Whichever service runs it, one of these requests goes to the other one.
  await atBoth(async () => {
    assert.equal((await jobs.pause(job)).status, 'paused')
    await jobs.resume(job)
    await account.jobIs(job, ['running'])
  })
  assert.equal((await two.at(0, () => jobs.cancel(job))).status, 'cancelled')
  const another = await two.at(1, () => account.train(file, long))
  await account.jobIs(another, ['running'])
  assert.equal((await two.at(1, () => jobs.cancel(another))).status, 'cancelled')
})

// Of two requests at a time each service gets one.
test('of a job that one service creates and the deletion of its file at the other one is refused', () =>
  jobsAgainstDeletions(account))

test('R28: a deployment that one service replaces or deletes is not served by the other as it was', async () => {
  assert.equal((await two.at(0, () => account.deploy('moving', BASE_MODEL))).status, 201)
  await atBoth(() => account.chat('moving'))
  assert.ok((await two.at(0, () => account.undeploy('moving'))).status < 300)
  const [, answer] = await atBoth(() => refusal(() => account.chat('moving')))
  assert.equal(answer?.code, 'DeploymentNotFound')
})

test('a deletion of a group goes on when the service that began it ends', async () => {
  await azure.arm('PUT', '/resourceGroups/going', { location: two.endpoints.location }, '2025-04-01')
  for (let n = 0; n < 6; n += 1) {
    const path = `/resourceGroups/going/providers/Microsoft.CognitiveServices/accounts/going-${n}`
    const body = { location: two.endpoints.location, kind: 'OpenAI', sku: { name: 'S0' }, properties: {} }
    assert.ok((await azure.arm('PUT', path, body)).status < 300)
  }
  const { headers, status } = await two.at(0, () =>
    azure.arm('DELETE', '/resourceGroups/going', undefined, '2025-04-01'),
  )
  assert.equal(status, 202)
  await two.restart()
  const poll = (headers.get('location') ?? '').slice(two.endpoints.resourceManager.length)
  for (let looks = 0; (await azure.armRoot('GET', poll)).status === 202; looks += 1) {
    assert.ok(looks < 200, 'the operation never ended')
    await pause(100)
  }
  assert.equal((await azure.arm('GET', '/resourceGroups/going', undefined, '2025-04-01')).status, 404)
})

test('a token that one service signs with a new key is accepted by the other', async () => {
  const rotate = '/providers/ownkey.directory/signingkeys/rotate?api-version=2022-09-01'
  assert.equal((await two.at(0, () => azure.armRoot('POST', rotate))).status, 200)
  const { authority, tenantId, administrator, resourceManager } = two.endpoints
  const asked = { client_id: administrator.clientId, client_secret: administrator.clientSecret }
  const form = { ...asked, grant_type: 'client_credentials', scope: `${resourceManager}/.default` }
  const url = `${authority}/${tenantId}/oauth2/v2.0/token`
  const given = await two.at(0, () => fetch(url, { method: 'POST', body: new URLSearchParams(form) }))
  const { access_token: token } = (await given.json()) as { access_token: string }
  const statuses = await atBoth(async () => {
    const answer = await fetch(`${resourceManager}/subscriptions?api-version=2022-12-01`, {
      headers: { authorization: `Bearer ${token}` },
    })
    return answer.status
  })
  assert.deepEqual(statuses, [200, 200])
})

/** How often each key of a vault was exported as made, by its name. */
async function exportedKeys(): Promise<Map<string, number>> {
  const entries = await readdir(join(two.dataDir, 'diagnostics'), { recursive: true, withFileTypes: true })
  const files = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
  const lines = (await Promise.all(files.map(file => readFile(file, 'utf8')))).join('').split('\n').filter(Boolean)
  const found = new Map<string, number>()
  for (const { operationName, properties } of lines.map(line => JSON.parse(line))) {
    const name = /\/keys\/([\w-]+)/.exec(String(properties?.id))?.[1] ?? ''
    if (operationName === 'KeyCreate') found.set(name, (found.get(name) ?? 0) + 1)
  }
  return found
}

test('R05: an audit record of a vault is exported once, whichever service does it', async () => {
  const setting = `${azure.vaultPath(keyed.vault)}/providers/microsoft.insights/diagnosticSettings/all`
  const storageAccountId = `/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/logs`
  const logs = [{ category: 'AuditEvent', enabled: true }]
  const made = await azure.arm('PUT', setting, { properties: { storageAccountId, logs } }, '2021-05-01-preview')
  assert.ok(made.status < 300, JSON.stringify(made.body))
  const names = ['one', 'two', 'three'].map(name => `exported-${name}`)
  for (const [n, name] of names.entries()) {
    await keyed.keys.createEcKey(name)
    // The first two go while they export, so the other takes over.
    if (n < 2) await two.restartOne(n === 0 ? 0 : 1)
  }
  for (let looks = 0; !(await exportedKeys().catch(() => new Map())).has('exported-three'); looks += 1) {
    assert.ok(looks < 100, 'the last key was never exported')
    await pause(100)
  }
  const exported = await exportedKeys()
  assert.deepEqual(
    names.map(name => exported.get(name)),
    [1, 1, 1],
  )
})

test('R05: the audit records of both services are one chain', async () => {
  const verdict = await azure.armRoot('GET', '/ownkey/audit/verify?api-version=2022-09-01')
  assert.equal(verdict.status, 200, JSON.stringify(verdict.body))
  assert.equal(verdict.body.ok, true, JSON.stringify(verdict.body))
})

test('neither service has logged an error', () => {
  const complaints = two.logged.filter(line => (line as { level?: string }).level === 'error')
  assert.deepEqual(complaints, [])
})
