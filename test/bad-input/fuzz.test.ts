import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { request as plainRequest } from 'node:http'
import { Agent, request, type RequestOptions } from 'node:https'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { parseTarget } from '../../src/http/build-call.ts'
import type { HostName, Route } from '../../src/http/route.ts'
import { routeTable } from '../../src/http/route-table.ts'
import { Azure, BASE_MODEL } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { mutated, Random, strangeText, strangeValue } from '../support/random.ts'
import { everyRoute } from '../support/routes.ts'
import { formOf, templateOf, type Names } from './templates.ts'

/** `OWNKEY_FUZZ_SECONDS=3600 OWNKEY_FUZZ_SEED=1` searches longer, and elsewhere. */
const SECONDS = Number(process.env['OWNKEY_FUZZ_SECONDS'] ?? 12)
const SEED = Number(process.env['OWNKEY_FUZZ_SEED'] ?? 20)
const PARALLEL = 6
/** A model may write a long answer. Nothing else takes nearly as long. */
const HANG_MS = 30_000

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const { endpoints } = cloud
const account = await azure.account('fuzz')
const apiKey = String(account.openai.apiKey)
await account.deploy('base', BASE_MODEL)
// Nine examples, so that a job that passes every other check is refused and no training runs.
const file = await account.upload('fuzz', 'train.jsonl', 9)
const keys = await azure.vault('kv-fuzz', { enablePurgeProtection: undefined })
const version = (await keys.createRsaKey('k')).properties.version ?? ''

const routes = await everyRoute()
const table = routeTable(routes)
const agent = new Agent({ keepAlive: true, maxSockets: PARALLEL })
after(() => agent.destroy())

const tokenFor = async (scope: string): Promise<string> => (await azure.credential.getToken(scope))?.token ?? ''
const TOKENS: Partial<Record<HostName, string>> = {
  management: await tokenFor(`${endpoints.resourceManager}/.default`),
  vault: await tokenFor('https://vault.azure.net/.default'),
  openai: await tokenFor('https://cognitiveservices.azure.com/.default'),
  login: await tokenFor('https://graph.microsoft.com/.default'),
}
const SECRETS = [apiKey, endpoints.administrator.clientSecret, ...Object.values(TOKENS)]

const names: Names = {
  tenantId: endpoints.tenantId,
  location: endpoints.location,
  clientId: endpoints.administrator.clientId,
  clientSecret: endpoints.administrator.clientSecret,
  file,
  vaultUri: azure.vaultUri('kv-fuzz'),
  scope: 'https://vault.azure.net/.default',
}
const PARAMS: Readonly<Record<string, string>> = {
  tenant: endpoints.tenantId,
  subscription: endpoints.subscriptionId,
  subscriptionid: endpoints.subscriptionId,
  group: azure.group,
  account: 'fuzz',
  vault: 'kv-fuzz',
  deployment: 'base',
  name: 'k',
  version,
  file,
  job: `ftjob-${'0'.repeat(32)}`,
  model: BASE_MODEL,
  location: endpoints.location,
  update: 'add',
  setting: 'audit',
  alias: 'fuzz',
  namespace: 'Microsoft.KeyVault',
  assignment: '00000000-0000-4000-8000-000000000001',
  role: 'acdd72a7-3385-48ef-bd42-f606fba81ae7',
  operation: '00000000-0000-4000-8000-000000000002',
}
const SCOPES = [
  `subscriptions/${endpoints.subscriptionId}`,
  `subscriptions/${endpoints.subscriptionId}/resourceGroups/${azure.group}`,
  `subscriptions/${endpoints.subscriptionId}${azure.accountPath('fuzz')}`,
  `subscriptions/${endpoints.subscriptionId}${azure.vaultPath('kv-fuzz')}`,
]
const HOSTS: Readonly<Record<HostName, string>> = {
  login: new URL(endpoints.authority).host,
  management: new URL(endpoints.resourceManager).host,
  portal: new URL(endpoints.portal).host,
  vault: `kv-fuzz${endpoints.keyVaultSuffix}`,
  openai: `fuzz${endpoints.openAiSuffix}`,
  metadata: new URL(endpoints.instanceMetadata).host,
}
const VERSIONS: Partial<Record<HostName, string>> = { management: '2022-09-01', vault: '7.4', openai: '2024-10-21' }

interface Sending {
  readonly route: Route
  readonly method: string
  readonly host: string
  readonly path: string
  readonly headers: Record<string, string>
  readonly body: Buffer | undefined
  readonly identity: 'right' | 'none' | 'wrong'
}

const sometimes = (random: Random, probability: number, text: string): string =>
  random.chance(probability) ? strangeText(random) : text

/** Without what Node itself would refuse to send, since that would test Node. */
const inUrl = (text: string): string =>
  encodeURIComponent(text.toWellFormed()).replace(/%2[46]/g, code => decodeURIComponent(code))
// oxlint-disable-next-line no-control-regex
const inHeader = (text: string): string => text.replace(/[\0-\x1f\x7f]|[^\0-\xff]/g, '?')

/** Requests that would break all others are only sent for things that do not exist. */
const ENDS = /^(DELETE|POST .*\/(cancel|changetenant|moveresources|regeneratekey)$)/

function pathOf(random: Random, route: Route): string {
  const [, ...parts] = route.path.split('/')
  const spared = ENDS.test(`${route.method} ${route.path}`) ? parts.findLastIndex(part => part.startsWith(':')) : -1
  const segments = parts.map((part, index) => {
    if (!part.startsWith(':')) return inUrl(sometimes(random, 0.01, part))
    const name = part.slice(1).replace('*', '')
    if (index === spared) return inUrl(random.chance(0.5) ? strangeText(random) : 'absent')
    if (part.endsWith('*') && random.chance(0.9)) return random.pick(SCOPES)
    return inUrl(sometimes(random, 0.12, PARAMS[name] ?? 'x'))
  })
  return `/${segments.join(random.chance(0.02) ? '//' : '/')}`
}

function queryOf(random: Random, route: Route): string {
  const query: [string, string][] = []
  const apiVersion = VERSIONS[route.host]
  if (apiVersion !== undefined && !route.path.startsWith('/openai/v1/') && random.chance(0.95))
    query.push([random.chance(0.1) ? 'API-Version' : 'api-version', sometimes(random, 0.08, apiVersion)])
  const more = ['$filter', '$top', '$skiptoken', 'maxresults', 'limit', 'after', 'order', 'purpose', 'since', 'entries']
  while (random.chance(0.25)) query.push([sometimes(random, 0.2, random.pick(more)), strangeText(random)])
  const logins = [
    'resource',
    'client_id',
    'redirect_uri',
    'response_type',
    'code_challenge',
    'state',
    'authorization_endpoint',
  ]
  if (route.host === 'login' || route.host === 'metadata')
    while (random.chance(0.5)) query.push([random.pick(logins), sometimes(random, 0.7, names.clientId)])
  const text = query.map(([name, value]) => `${inUrl(name)}=${inUrl(value)}`).join('&')
  return text === '' ? '' : `?${text}`
}

function identityOf(random: Random, route: Route): [Sending['identity'], Record<string, string>] {
  const roll = random.next()
  const right = TOKENS[route.host] ?? ''
  if (roll < 0.1) return ['none', {}]
  if (roll < 0.25) {
    const other = Object.entries(TOKENS).filter(([host]) => host !== route.host && host !== 'login')
    const wrong = random.pick([
      `Bearer ${random.pick(other)[1]}`,
      `Bearer ${right.slice(0, -4)}AAAA`,
      `Bearer ${right}.x`,
      `Bearer ${strangeText(random)}`,
      `Basic ${Buffer.from(strangeText(random)).toString('base64')}`,
      strangeText(random),
    ])
    const header = route.host === 'openai' && random.chance(0.5) ? { 'api-key': strangeText(random) } : undefined
    return ['wrong', header ?? { authorization: wrong }]
  }
  const byKey = route.host === 'openai' && random.chance(0.6)
  return ['right', byKey ? { 'api-key': apiKey } : { authorization: `Bearer ${right}` }]
}

function bodyOf(random: Random, route: Route): { body?: Buffer; type?: string } {
  if (route.path.endsWith('/files') && route.method === 'POST') return formBody(random)
  const form = formOf(route.path, names)
  if (form !== undefined) {
    const fields = Object.entries(form).flatMap(([name, value]) => {
      if (random.chance(0.1)) return []
      return [[sometimes(random, 0.05, name), sometimes(random, 0.25, value)] satisfies [string, string]]
    })
    return { body: Buffer.from(String(new URLSearchParams(fields))), type: 'application/x-www-form-urlencoded' }
  }
  if (['GET', 'HEAD', 'DELETE'].includes(route.method) && random.chance(0.95)) return {}
  const template = templateOf(route.method, route.path, names) ?? strangeValue(random)
  let value = random.chance(0.15) ? template : mutated(random, template)
  if (random.chance(0.25)) value = mutated(random, value)
  const text = JSON.stringify(value) ?? ''
  if (random.chance(0.05)) return { body: Buffer.from(text.slice(0, random.below(text.length + 1))), type: JSON_TYPE }
  if (random.chance(0.03)) return { body: Buffer.from(strangeText(random)), type: JSON_TYPE }
  return { body: Buffer.from(text), type: JSON_TYPE }
}
const JSON_TYPE = 'application/json'

function formBody(random: Random): { body: Buffer; type: string } {
  const boundary = sometimes(random, 0.05, 'b')
  const line = JSON.stringify({
    messages: [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b' },
    ],
  })
  const content = random.chance(0.3) ? JSON.stringify(mutated(random, JSON.parse(line))) : line
  const filename = sometimes(random, 0.3, 'a.jsonl').replaceAll('"', '')
  const parts = [
    `Content-Disposition: form-data; name="${sometimes(random, 0.1, 'file')}"; filename="${filename}"\r\n\r\n${content}`,
    `Content-Disposition: form-data; name="${sometimes(random, 0.1, 'purpose')}"\r\n\r\n${sometimes(random, 0.2, 'fine-tune')}`,
  ]
  while (random.chance(0.2)) parts.push(random.pick(parts))
  if (random.chance(0.2)) parts.splice(random.below(parts.length), 1)
  const text = `${parts.map(part => `--${boundary}\r\n${part}\r\n`).join('')}--${boundary}--\r\n`
  const body = Buffer.from(text.toWellFormed())
  return {
    body: random.chance(0.1) ? body.subarray(0, random.below(body.length)) : body,
    type: `multipart/form-data; boundary=${boundary}`,
  }
}

function sendingOf(random: Random): Sending {
  const route = random.pick(routes)
  const { body, type } = bodyOf(random, route)
  const [identity, credentials] = identityOf(random, route)
  const headers: Record<string, string> = { ...credentials }
  if (type !== undefined) headers['content-type'] = sometimes(random, 0.04, type)
  if (random.chance(0.05)) headers['x-ms-client-request-id'] = strangeText(random)
  if (random.chance(0.03)) headers['origin'] = random.pick([endpoints.portal, 'https://evil.example', 'null'])
  if (random.chance(0.02)) headers['content-encoding'] = random.pick(['gzip', 'identity', strangeText(random)])
  if (random.chance(0.02)) headers['expect'] = '100-continue'
  if (random.chance(0.02)) headers['x-forwarded-for'] = strangeText(random)
  const method = random.chance(0.97) ? route.method : random.pick(['GET', 'PUT', 'POST', 'PATCH', 'OPTIONS', 'HEAD'])
  const path = `${pathOf(random, route)}${queryOf(random, route)}`
  const clean = Object.entries(headers).map(([name, value]) => [name, inHeader(value)] as const)
  return { route, method, host: HOSTS[route.host], path, headers: Object.fromEntries(clean), body, identity }
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly text: string
}

function send({ route, method, host, path, headers, body }: Sending): Promise<Answer> {
  const [hostname, port] = host.split(':')
  const length = body === undefined ? {} : { 'content-length': String(body.length) }
  const options: RequestOptions = { method, hostname, port, path, headers: { ...headers, ...length } }
  // Instance metadata is served over plain HTTP, as on every Azure machine.
  const open = route.host === 'metadata' ? plainRequest : request
  return new Promise((resolve, reject) => {
    const outgoing = open({ ...options, ...(open === request ? { agent } : {}) }, incoming => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject)
      incoming.on('end', () =>
        resolve({
          status: incoming.statusCode ?? 0,
          type: incoming.headers['content-type'] ?? '',
          text: Buffer.concat(chunks).toString(),
        }),
      )
    })
    outgoing.setTimeout(HANG_MS, () => outgoing.destroy(new Error(`no answer within ${HANG_MS} ms`)))
    outgoing.on('error', reject).end(body)
  })
}

/** The route that the service finds for a request, which with a strange path may be another one than was meant. */
function servedBy({ route, method, host, path }: Sending): Route | undefined {
  try {
    const found = table.match(route.host, method, parseTarget(path, `https://${host}`).segments)
    return found.type === 'found' ? found.route : undefined
  } catch {
    return undefined
  }
}

/** Graph is served by the login host, with its own form of errors. */
function checkShape(sending: Sending, { status, type, text }: Answer): void {
  if (status < 400 || sending.method === 'HEAD' || type.startsWith('text/html')) return
  const parsed = JSON.parse(text) as {
    error: Record<string, unknown> | string
    error_description?: string
  }
  const isGraph = sending.path.toLowerCase().startsWith('/v1.0/')
  if (sending.route.host === 'metadata' || (sending.route.host === 'login' && !isGraph)) {
    assert.match(parsed.error as string, /^[a-z_]+$/i)
    assert.ok(String(parsed.error_description).length > 15)
    return
  }
  const error = parsed.error as Record<string, unknown>
  assert.ok(String(error['code']).length > 1)
  assert.ok(String(error['message']).length > 10)
  if (sending.route.host === 'openai') assert.ok('param' in error && typeof error['type'] === 'string')
}

function check(sending: Sending, answer: Answer): void {
  const { status, text } = answer
  // 503: too many logins at a time, which this test makes.
  assert.ok(status < 500 || (status === 503 && sending.route.host === 'login'), 'a failure of the service')
  checkShape(sending, answer)
  const served = servedBy(sending)
  if (served !== undefined && served.auth !== 'none' && sending.identity !== 'right' && sending.method !== 'OPTIONS')
    assert.ok(status >= 400, 'answered without authentication')
  assert.ok(sending.route.host !== 'metadata' || !text.includes('access_token'), 'a token without its secret')
  if (status >= 400) {
    assert.doesNotMatch(text, /node:internal|\.ts:\d+|PRIVATE KEY|SQLITE/)
    for (const secret of SECRETS) assert.equal(text.includes(secret), false, 'a secret in an answer')
  }
}

test('mutated requests to every route are answered or refused, in the form of their plane and only to who may', async t => {
  const random = new Random(SEED)
  const until = Date.now() + SECONDS * 1000
  const statuses = new Map<number, number>()
  const touched = new Set<Route>()
  const problems: string[] = []
  let sent = 0
  const work = async (): Promise<void> => {
    while (Date.now() < until && problems.length < 20) {
      const sending = sendingOf(random)
      sent += 1
      try {
        const answer = await send(sending)
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
        const served = servedBy(sending)
        if (served !== undefined) touched.add(served)
        try {
          check(sending, answer)
        } catch (error) {
          problems.push(
            `${(error as Error).message}\n${describe(sending)}\n-> ${answer.status} ${answer.text.slice(0, 400)}`,
          )
        }
      } catch (error) {
        problems.push(`${(error as Error).message}\n${describe(sending)}`)
      }
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, work))
  t.diagnostic(
    `seed ${SEED}: ${sent} requests, ${touched.size} of ${routes.length} routes, ${JSON.stringify([...statuses])}`,
  )
  assert.equal(problems.length, 0, `\n${problems.join('\n\n')}`)
  assert.ok(sent > 100)
})

function describe({ method, host, path, headers, body }: Sending): string {
  const shown = body === undefined ? '' : body.toString('latin1').slice(0, 600)
  const { authorization = '', ...rest } = headers
  return `${method} https://${host}${path}\n${authorization.slice(0, 24)} ${JSON.stringify(rest)}\n${shown}`
}

test('after that the service has noted no failure of its own, and serves as before', async () => {
  const log = await readFile(join(cloud.dataDir, 'service.log'), 'utf8')
  const faults = log.split('\n').filter(line => line.includes('"fault"') || line.includes('"level":"error"'))
  assert.deepEqual(faults.slice(0, 5), [])
  assert.ok((await azure.arm('GET', '/resourceGroups', undefined, '2022-09-01')).status === 200)
  const headers = { authorization: `Bearer ${TOKENS.openai ?? ''}` }
  const models = await fetch(`https://${HOSTS.openai}/openai/v1/models`, { headers })
  assert.equal(models.status, 200, await models.text())
})
