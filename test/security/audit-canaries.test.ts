import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { auditRecords } from '../audit/ownkey.fixture.ts'
import { Azure } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('alpha', 'None')
await azure.vault('kv-alpha')
const { body: keys } = await azure.arm('POST', `${azure.accountPath('alpha')}/listKeys`)
const file = await account.upload('{"canary":"CANARYcontent"}', 'CANARYname.jsonl')
const { endpoints } = cloud
const { resourceManager, subscriptionId, administrator } = endpoints
const openai = `https://alpha${endpoints.openAiSuffix}/openai`
const vault = azure.vaultUri('kv-alpha').slice(0, -1)
const login = `${endpoints.authority}/${endpoints.tenantId}/oauth2/v2.0/token`
const arm = `${resourceManager}/subscriptions/${subscriptionId}`
const accountUrl = `${arm}${azure.accountPath('alpha')}`

interface Asked {
  readonly method: string
  readonly url: string
  readonly headers?: Record<string, string>
  readonly body?: object | string
  readonly as: 'key' | 'administrator' | 'nobody'
}
type What = Omit<Asked, 'method' | 'url' | 'as'>

const QUERY = 'api-key=CANARYquery&code=CANARYcode&sig=CANARYsig&CANARYvalue123&filename=CANARYfilename'
const BEARER = { authorization: 'Bearer CANARYtoken' }
const SPEC = { client_id: administrator.clientId, scope: 'https://vault.azure.net/.default' }
const IMDS = 'resource=https%3A%2F%2Fvault.azure.net&api-version=2018-02-01&secret=CANARYquerysecret'
const chat = { messages: [{ role: 'user', content: 'CANARYchat', name: 'CANARYuser' }], user: 'CANARYid' }
const job = { model: 'none', training_file: file, suffix: 'CANARYsuffix' }
const key = { n: 'CANARYmodulus', e: 'AQAB', d: 'CANARYprivate' }

const at = (url: string, version: string): string => `${url}?api-version=${version}&${QUERY}`
const data = (method: string, path: string, what: What = {}, as: Asked['as'] = 'key'): Asked => ({
  method,
  url: at(`${openai}${path}`, '2024-10-21'),
  as,
  ...what,
})
const manage = (method: string, url: string, what: What, version = '2025-06-01'): Asked => ({
  method,
  url: at(url, version),
  as: 'headers' in what ? 'nobody' : 'administrator',
  ...what,
})
const signIn = (fields: Record<string, string>): Asked => ({
  method: 'POST',
  url: `${login}?${QUERY}`,
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
  body: new URLSearchParams({ ...SPEC, ...fields }).toString(),
  as: 'nobody',
})
const metadata = (path: string, headers: Record<string, string>): Asked => ({
  method: 'GET',
  url: `${endpoints.instanceMetadata}${path}?${IMDS}`,
  headers,
  as: 'nobody',
})

/** An upload of an invalid file, with another field behind it. */
const form = (name: string, value: string): What => ({
  headers: { 'content-type': 'multipart/form-data; boundary=b' },
  body: ['file"; filename="CANARYname.jsonl"', `${name}"`]
    .map(
      (part, at) =>
        `--b\r\ncontent-disposition: form-data; name="${part}\r\n\r\n${at === 0 ? 'CANARYline' : value}\r\n`,
    )
    .concat('--b--\r\n')
    .join(''),
})

/** Canaries in each part of a request, except names of models and SKUs and file ids, which refusals repeat, as Azure's do. */
const ASKED: readonly Asked[] = [
  data('GET', '/files'),
  data('GET', `/files/${file}/content`),
  data('GET', '/files', { headers: { 'api-key': 'CANARYapikey' } }, 'nobody'),
  data('GET', '/files', { headers: BEARER }, 'nobody'),
  data('POST', '/files', { body: 'CANARYform', headers: { 'content-type': 'multipart/form-data; boundary=CANARYb' } }),
  data('POST', '/fine_tuning/jobs', { body: job }),
  data('POST', '/fine_tuning/jobs', { body: { ...job, metadata: { a: 'CANARYmetadata' } } }),
  data('POST', '/fine_tuning/jobs', { body: { CANARYfield: 'CANARYbody' } }),
  data('POST', '/fine_tuning/jobs', { body: '{"model": CANARYbroken' }),
  data('POST', '/deployments/none/chat/completions', { body: chat }),
  data('POST', '/deployments/none/chat/completions', { body: { ...chat, temperature: 'CANARYtemperature' } }),
  data('POST', '/deployments/none/chat/completions', { body: { messages: [{ role: 'CANARYrole', content: 'a' }] } }),
  data('POST', '/deployments/none/chat/completions', { body: { ...chat, CANARYparameter: 1 } }),
  data('POST', '/deployments/none/chat/completions', { body: { ...chat, response_format: { type: 'CANARYtype' } } }),
  data('POST', '/files', form('purpose', 'CANARYpurpose')),
  data('POST', '/files', form('expires_after[CANARYanchor]', '1')),
  data('POST', '/files', form('CANARYfield', 'a'.repeat(5000))),
  manage('PATCH', accountUrl, { body: { tags: { owner: 'CANARYtag' } } }),
  manage('PATCH', accountUrl, { body: { properties: { publicNetworkAccess: 'CANARYaccess' } } }),
  manage('PATCH', accountUrl, { body: { properties: { encryption: { keySource: 'CANARYsource' } } } }),
  manage('POST', `${accountUrl}/regenerateKey`, { body: { keyName: 'CANARYkeyname' } }),
  manage('PUT', `${accountUrl}/deployments/d`, { body: { properties: { model: { format: 'CANARYformat' } } } }),
  manage('GET', accountUrl, { headers: BEARER }),
  manage('PUT', `${arm}/resourceGroups/tests`, { body: '{CANARYbroken' }, '2025-04-01'),
  manage(
    'PATCH',
    `${arm}${azure.vaultPath('kv-alpha')}`,
    { body: { properties: { enableSoftDelete: 'CANARYflag' } } },
    '2023-07-01',
  ),
  manage('POST', `${vault}/keys/k/create`, { body: { kty: 'CANARYkty' } }, '7.6'),
  manage('PUT', `${vault}/keys/k`, { body: { key: { kty: 'RSA', ...key } } }, '7.6'),
  manage('POST', `${vault}/keys/k/1/unwrapkey`, { body: { alg: 'CANARYalg', value: 'CANARYvalue' } }, '7.6'),
  manage('POST', `${vault}/keys/restore`, { body: { value: 'CANARYbackup' } }, '7.6'),
  manage('GET', `${vault}/keys`, { headers: BEARER }, '7.6'),
  signIn({ grant_type: 'client_credentials', client_secret: 'CANARYsecret' }),
  signIn({ grant_type: 'client_credentials', client_assertion: 'CANARYassertion' }),
  signIn({ grant_type: 'refresh_token', refresh_token: 'CANARYrefresh' }),
  signIn({ grant_type: 'authorization_code', code: 'CANARYauthcode', redirect_uri: 'http://localhost' }),
  metadata('/msi/token', { secret: 'CANARYheader', 'x-identity-header': 'CANARYidentity' }),
  metadata('/metadata/identity/oauth2/token', { metadata: 'true', secret: 'CANARYheader' }),
  metadata('/CANARYpath/metadata/identity/oauth2/token', { metadata: 'true' }),
]

async function ask({ method, url, headers = {}, body, as }: Asked): Promise<string> {
  const audience = url.startsWith(vault) ? 'https://vault.azure.net' : resourceManager
  const token = as === 'administrator' ? await azure.credential.getToken(`${audience}/.default`) : undefined
  const response = await fetch(url, {
    method,
    headers: {
      'content-type': 'application/json',
      ...(as === 'key' ? { 'api-key': keys.key1 } : {}),
      ...(token == null ? {} : { authorization: `Bearer ${token.token}` }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  await response.arrayBuffer()
  return response.headers.get('x-ms-request-id') ?? ''
}

test('R05: no audit record of any plane, of what was allowed or refused, holds a word of a body, a chat, a file, a file name, a key or a secret', async () => {
  const asked = new Map<string, Asked>()
  for (const one of ASKED) asked.set(await ask(one), one)
  const records = await auditRecords(cloud.dataDir)
  assert.deepEqual(
    records.filter(record => /canary/i.test(JSON.stringify(record))),
    [],
  )
  for (const secret of [keys.key1, keys.key2, administrator.clientSecret, administrator.password])
    assert.ok(!JSON.stringify(records).includes(secret))
  const recorded = new Set(records.map(({ correlationId }) => correlationId))
  const unrecorded = [...asked].filter(([id]) => !recorded.has(id)).map(([, { method, url }]) => `${method} ${url}`)
  assert.deepEqual(unrecorded, [], 'each was recorded')
})
