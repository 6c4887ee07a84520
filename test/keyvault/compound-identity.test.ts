import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { administratorCredential } from '../../src/harness/azure-client.ts'
import { Azure } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after }, ['--allow-ropc'])
const { endpoints } = cloud
const { authority, tenantId, administrator } = endpoints
const azure = await Azure.in(endpoints)
const AZURE_CLI = '04b07795-8ddb-461a-bbee-02f9e1bf7b46'
const STRANGER = 'cccccccc-0000-4000-8000-000000000001'

/** A person's token, through the application that asks for it. */
async function personsToken(): Promise<string> {
  const form = new URLSearchParams({
    grant_type: 'password',
    client_id: AZURE_CLI,
    username: administrator.userName,
    password: administrator.password,
    scope: 'https://vault.azure.net/.default openid',
  })
  const response = await fetch(`${authority}/${tenantId}/oauth2/v2.0/token`, { method: 'POST', body: form })
  return ((await response.json()) as { access_token: string }).access_token
}

test('a compound identity opens keys to a person only through the application that it names', async () => {
  const keys = await azure.vault('kv-compound')
  await keys.createEcKey('k')
  const objectId = await azure.administratorUserId()
  const person = await personsToken()
  const application = (await administratorCredential(endpoints).getToken('https://vault.azure.net/.default'))?.token
  const get = async (token = person): Promise<number> => {
    const url = `${azure.vaultUri('kv-compound')}keys/k?api-version=7.6`
    return (await fetch(url, { headers: { authorization: `Bearer ${token}` } })).status
  }
  const setPolicy = async (applicationId?: string): Promise<void> => {
    const own = { tenantId, objectId, permissions: { keys: ['get'] } }
    const accessPolicies = [applicationId === undefined ? own : { ...own, applicationId }]
    assert.equal((await azure.patchVault('kv-compound', { accessPolicies })).status, 200)
  }
  await setPolicy()
  assert.equal(await get(), 200)
  await setPolicy(STRANGER)
  assert.equal(await get(), 403)
  await setPolicy(AZURE_CLI)
  assert.equal(await get(), 200)
  assert.equal(await get(application), 403)
  await setPolicy(AZURE_CLI.toUpperCase())
  assert.equal(await get(), 200)
})
