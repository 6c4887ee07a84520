import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Azure, KEY_PERMISSIONS, untilRefused } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const { instanceMetadata } = cloud.endpoints

interface Answer {
  readonly status: number
  readonly inner: string | undefined
  readonly message: string
}

test('the bypass lets the account in, but not its token from the network, with any header · R09', async () => {
  const account = await azure.account('lender')
  const keys = await azure.vault('kv-lender')
  const version = (await keys.createRsaKey('cmk', { keySize: 2048 })).properties.version
  await azure.policy('kv-lender', 'add', account.principalId, KEY_PERMISSIONS)
  assert.equal((await account.encrypt({ vault: 'kv-lender', name: 'cmk', version })).status, 200)

  const identity = `/providers/OwnKey.Directory/identities/${account.principalId}/listSecret`
  const { body: secret } = await azure.armRoot('POST', identity)
  const asked = await fetch(
    `${instanceMetadata}/msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fvault.azure.net`,
    { headers: { 'x-identity-header': secret.identityHeader } },
  )
  const { access_token: token } = (await asked.json()) as { access_token: string }
  const borrow = async (): Promise<Answer> => {
    const response = await fetch(`${azure.vaultUri('kv-lender')}keys/cmk?api-version=7.6`, {
      headers: {
        authorization: `Bearer ${token}`,
        'x-ms-via': 'service',
        'x-forwarded-for': 'service',
        'x-ms-azureservices': 'true',
      },
    })
    const { error } = (await response.json()) as { error?: { message: string; innererror?: { code: string } } }
    return { status: response.status, inner: error?.innererror?.code, message: error?.message ?? '' }
  }
  assert.equal((await borrow()).status, 200, 'without a wall the token is good for what its policy gives')

  const wall = (bypass: string) => azure.patchVault('kv-lender', { networkAcls: { defaultAction: 'Deny', bypass } })
  assert.equal((await wall('AzureServices')).status, 200)
  const refused = await borrow()
  assert.deepEqual([refused.status, refused.inner], [403, 'ForbiddenByFirewall'])
  assert.match(refused.message, /caller is not a trusted service/)
  const file = await account.upload('behind the wall')
  assert.match((await account.download(file)).toString(), /behind the wall/)

  assert.equal((await wall('None')).status, 200)
  const { code } = await untilRefused(() => account.download(file))
  assert.match(code, /CustomerManagedKeyUnavailable/)
  assert.equal((await borrow()).status, 403)
})
