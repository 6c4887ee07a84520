import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { Agent, request } from 'node:https'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { Route } from '../../src/http/route.ts'
import { auditRecords } from '../audit/ownkey.fixture.ts'
import { administratorOf } from '../arm/arm.fixture.ts'
import { Azure } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { Random } from '../support/random.ts'
import { everyRoute } from '../support/routes.ts'
import { SecretSearch } from '../support/secret-forms.ts'
import { knownKeys, mutatedRequest, type Place, type Request } from './vault-requests.ts'

/** `OWNKEY_VAULT_FUZZ=1000000 OWNKEY_FUZZ_SEED=1` searches longer, and elsewhere. */
const REQUESTS = Number(process.env['OWNKEY_VAULT_FUZZ'] ?? 10_000)
const SEED = Number(process.env['OWNKEY_FUZZ_SEED'] ?? 7)
const PARALLEL = 8
const HANG_MS = 15_000
const MAX_PROBLEMS = 10

const cloud = await cloudFor({ after })
const { endpoints, dataDir } = cloud
const azure = await Azure.in(endpoints)
const admin = await administratorOf(endpoints)
const [VAULT, SPARE] = ['kv-fuzz', 'kv-spare']
const everything = {
  sku: { family: 'A', name: 'premium' },
  enablePurgeProtection: undefined,
  accessPolicies: [{ tenantId: endpoints.tenantId, objectId: admin.objectId, permissions: { keys: ['all'] } }],
}
const TOKENS = { vault: await admin.token('https://vault.azure.net'), management: await admin.token() }
const HOSTS = { vault: `${VAULT}${endpoints.keyVaultSuffix}`, management: new URL(endpoints.resourceManager).host }
const DIGEST = Buffer.alloc(32, 1).toString('base64url')
const known = knownKeys()
const search = new SecretSearch(known.secrets)
const agent = new Agent({ keepAlive: true, maxSockets: PARALLEL })
after(() => agent.destroy())

interface Answer {
  readonly status: number
  readonly requestId: string
  /** Headers and body. */
  readonly text: string
  readonly body: string
}

type Plane = keyof typeof HOSTS

function send({ route, method, path, body, authorization }: Request): Promise<Answer> {
  const plane = route.host as Plane
  const token = authorization === 'right' ? TOKENS[plane] : `${TOKENS[plane].slice(0, -6)}AAAAAA`
  const [hostname, port] = HOSTS[plane].split(':')
  const headers = {
    ...(authorization === 'none' ? {} : { authorization: `Bearer ${token}` }),
    ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
  }
  return new Promise((resolve, reject) => {
    const outgoing = request({ method, hostname, port, path, headers, agent }, incoming => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject)
      incoming.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        const all = `${incoming.rawHeaders.join('\n')}\n${text}`
        const requestId = String(incoming.headers['x-ms-request-id'] ?? '')
        resolve({ status: incoming.statusCode ?? 0, requestId, text: all, body: text })
      })
    })
    outgoing.setTimeout(HANG_MS, () => outgoing.destroy(new Error(`no answer within ${HANG_MS} ms`)))
    outgoing.on('error', reject).end(body)
  })
}

async function ask(method: string, path: string, body?: object): Promise<{ value: string; key: { kid: string } }> {
  const response = await fetch(`https://${HOSTS.vault}${path}?api-version=7.6`, {
    method,
    headers: { authorization: `Bearer ${TOKENS.vault}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  assert.equal(response.status, 200, text)
  return JSON.parse(text)
}

async function place(): Promise<Place> {
  await azure.vault(VAULT, everything)
  await azure.vault(SPARE, everything)
  const path = `${azure.vaultPath(VAULT)}/providers/Microsoft.Insights/diagnosticSettings/fuzz`
  const storageAccountId = '/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/fuzz'
  const setting = { properties: { storageAccountId, logs: [{ category: 'AuditEvent', enabled: true }] } }
  assert.equal((await azure.arm('PUT', path, setting, '2021-05-01-preview')).status, 200)
  const versions: Record<string, string> = {}
  for (const name of ['rsa', 'ec', 'oct'] as const) {
    const { key } = await ask('PUT', `/keys/${name}`, { Hsm: true, key: known[name] })
    versions[name] = key.kid.split('/').at(-1) ?? ''
  }
  const { administrator, tenantId, location, subscriptionId } = endpoints
  return {
    subscription: subscriptionId,
    group: azure.group,
    location,
    vault: VAULT,
    spare: SPARE,
    versions,
    keys: known,
    wrapped: (await ask('POST', '/keys/rsa/wrapkey', { alg: 'RSA-OAEP-256', value: DIGEST })).value,
    signature: (await ask('POST', '/keys/ec/sign', { alg: 'ES256', value: DIGEST })).value,
    backup: (await ask('POST', '/keys/rsa/backup')).value,
    names: {
      tenantId,
      location,
      clientId: administrator.clientId,
      clientSecret: 'x',
      file: 'x',
      vaultUri: azure.vaultUri(VAULT),
      scope: 'x',
    },
  }
}

function check({ method, authorization }: Request, { status, text, body }: Answer): void {
  assert.ok(status >= 200 && status < 500, 'a failure of the service')
  if (status >= 400 && !text.includes('text/plain')) {
    const { error } = JSON.parse(body) as { error: { code: string; message: string } }
    assert.ok(error.code.length > 1 && error.message.length > 10, 'an error that says nothing')
  }
  if (authorization !== 'right') assert.ok(status >= 400 || method === 'OPTIONS', 'an answer to nobody')
  assert.doesNotMatch(text, /PRIVATE KEY|node:internal|\.ts:\d+|SQLITE/)
  assert.deepEqual(search.in(text), [], 'key material in an answer')
}

const routes = (await everyRoute()).filter(
  ({ host, path }) => host === 'vault' || (host === 'management' && /microsoft\.(keyvault|insights)/.test(path)),
)
const answered: { request: Request; answer: Answer }[] = []

test(`${REQUESTS} mutated requests to every operation of Key Vault: no failure of the service, no hang, no key material`, async t => {
  const random = new Random(SEED)
  const at = await place()
  const problems: string[] = []
  const statuses = new Map<number, number>()
  const worked = new Set<Route>()
  let left = REQUESTS
  const lane = async (): Promise<void> => {
    while (left-- > 0 && problems.length < MAX_PROBLEMS) {
      const one = mutatedRequest(random, random.pick(routes), at)
      try {
        const answer = await send(one)
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
        if (answer.status < 300) worked.add(one.route)
        answered.push({ request: one, answer })
        check(one, answer)
      } catch (error) {
        problems.push(`${(error as Error).message}\n${one.method} ${one.path}\n${one.body?.slice(0, 600) ?? ''}`)
      }
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, lane))
  t.diagnostic(`seed ${SEED}: ${answered.length} requests, ${JSON.stringify([...statuses])}`)
  assert.deepEqual(problems, [])
  const never = routes.filter(route => !worked.has(route)).map(({ method, path }) => `${method} ${path}`)
  t.diagnostic(`never went through: ${never.join(', ')}`)
  // Otherwise the mutations would only test the first check of each operation.
  assert.ok(worked.size >= routes.length * 0.8, never.join('\n'))
})

test('after that the vault works as before, and no operation made two audit records', async () => {
  await ask('POST', '/keys/ec/sign', { alg: 'ES256', value: DIGEST })
  const counts = new Map<string, number>()
  for (const { correlationId, callerIpAddress, operationName } of await auditRecords(dataDir)) {
    if (callerIpAddress === 'service' || operationName.endsWith('EventGridNotification')) continue
    counts.set(correlationId, (counts.get(correlationId) ?? 0) + 1)
  }
  for (const { request: one, answer } of answered) {
    const count = counts.get(answer.requestId) ?? 0
    const where = `${one.method} ${one.path} -> ${answer.status}: ${count} records`
    assert.ok(count <= 1, where)
    if (answer.status < 300 && one.method !== 'OPTIONS') assert.equal(count, 1, where)
  }
})

test('no private key is found in the log, in the audit log, in what was exported, or in any other file of the cloud', async () => {
  const audit = JSON.stringify(await auditRecords(dataDir))
  assert.deepEqual(search.in(audit), [])
  await cloud.stop()
  const files = (await readdir(dataDir, { recursive: true, withFileTypes: true })).filter(entry => entry.isFile())
  const names = files.map(entry => join(entry.parentPath, entry.name))
  assert.ok(names.some(name => name.endsWith('PT1H.json')) && names.some(name => name.endsWith('service.log')))
  for (const name of names) {
    const text = await readFile(name, 'latin1')
    assert.deepEqual(search.in(text), [], name)
    for (const token of Object.values(TOKENS)) assert.equal(text.includes(token), false, name)
  }
  const log = await readFile(join(dataDir, 'service.log'), 'utf8')
  const faults = log.split('\n').filter(line => line.includes('"fault"') || line.includes('"level":"error"'))
  assert.deepEqual(faults.slice(0, 5), [])
})
