import assert from 'node:assert/strict'
import { after, afterEach, test } from 'node:test'
import { blobDigests } from '../../src/harness/search-folder.ts'
import { ask, checkTells, type Answered } from '../support/asking.ts'
import { Azure } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

export const cloud = await cloudFor({ after })
export const azure = await Azure.in(cloud.endpoints)
export const { resourceManager, subscriptionId, tenantId, location } = cloud.endpoints
const account = await azure.account('existing')
await azure.vault('kv-existing')
const key = String(account.openai.apiKey)
const token = (await azure.credential.getToken(`${resourceManager}/.default`))?.token ?? ''

export const SUBSCRIPTION = `/subscriptions/${subscriptionId}`
export const GROUP = `${SUBSCRIPTION}/resourceGroups/tests`
export const groupAt = (name: string): string => `${SUBSCRIPTION}/resourceGroups/${name}`
export const accountAt = (name: string, group = 'tests'): string =>
  `${groupAt(group)}/providers/Microsoft.CognitiveServices/accounts/${name}`

function send(method: string, path: string, body?: unknown, version = '2025-06-01'): Promise<Answered> {
  const query = version === '' ? '' : `${path.includes('?') ? '&' : '?'}api-version=${version}`
  const type = body === undefined ? {} : { 'content-type': 'application/json' }
  return ask({
    method,
    url: `${resourceManager}${path}${query}`,
    headers: { authorization: `Bearer ${token}`, ...type },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
}

export const newAccount = {
  location,
  kind: 'OpenAI',
  sku: { name: 'S0' },
  properties: { customSubDomainName: 'fresh' },
}
export const withProperties = (properties: object) => ({
  ...newAccount,
  properties: { ...newAccount.properties, ...properties },
})

/** What is wrong, the status and code that it must get, the field that the error must name, and the attempt. */
export type Case = readonly [
  what: string,
  status: number,
  code: string,
  target: string | undefined,
  send: () => Promise<Answered>,
]
export const at = (method: string, path: string, body?: unknown, version?: string) => () =>
  send(method, path, body, version)

async function everything(): Promise<unknown> {
  const providers = `${SUBSCRIPTION}/providers`
  const lists = [
    `${SUBSCRIPTION}/resourcegroups`,
    `${SUBSCRIPTION}/resources`,
    `${providers}/Microsoft.CognitiveServices/accounts`,
    `${providers}/Microsoft.KeyVault/vaults`,
    `${accountAt('existing')}/deployments`,
  ]
  const answers = await Promise.all(lists.map(path => send('GET', path)))
  return [...answers.map(({ text }) => text), await blobDigests(cloud.dataDir)]
}

/** One test a case: refused as Azure does, and everything as it was before. */
export async function refuses(cases: readonly Case[]): Promise<void> {
  const before = await everything()
  afterEach(async () => assert.deepEqual(await everything(), before, 'something was made'))
  for (const [what, status, code, target, attempt] of cases) {
    test(`${what}: ${status} ${code}, and nothing is made`, async () => {
      const answer = await attempt()
      const { error } = JSON.parse(answer.text) as { error: { code: string; message: string; target?: string } }
      assert.deepEqual([answer.status, error.code], [status, code], answer.text.slice(0, 400))
      if (target !== undefined) assert.equal(error.target, target)
      assert.ok(error.message.length > 20 && error.message.length < 2000, error.message)
      assert.equal(answer.headers['x-ms-error-code'], code)
      assert.match(String(answer.headers['x-ms-request-id']), /^[0-9a-f-]{36}$/)
      checkTells(answer.text, [token, key, 'secret@'])
    })
  }
}
