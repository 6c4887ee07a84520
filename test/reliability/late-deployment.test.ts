import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { copyOf, rowsIn } from '../security/folder.ts'
import { Azure, BASE_MODEL, pause } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)

/** A PUT of a deployment whose body ends when the test says so. */
async function slowPut(name: string): Promise<() => Promise<{ status: number; code: unknown }>> {
  const { resourceManager, subscriptionId } = cloud.endpoints
  const token = await azure.credential.getToken(`${resourceManager}/.default`)
  const text = JSON.stringify({ sku: { name: 'Standard', capacity: 1 }, properties: { model: { name: BASE_MODEL } } })
  const rest = Promise.withResolvers<undefined>()
  async function* body(): AsyncGenerator<Buffer> {
    yield Buffer.from(text.slice(0, 10))
    await rest.promise
    yield Buffer.from(text.slice(10))
  }
  const answer = fetch(
    `${resourceManager}/subscriptions/${subscriptionId}${azure.accountPath(name)}/deployments/late?api-version=2025-06-01`,
    {
      method: 'PUT',
      headers: { authorization: `Bearer ${token?.token ?? ''}`, 'content-type': 'application/json' },
      body: body(),
      duplex: 'half',
    },
  )
  return async () => {
    // Long enough for the service to have found the account.
    await pause(300)
    rest.resolve(undefined)
    const response = await answer
    const { error } = (await response.json()) as { error?: { code: string } }
    return { status: response.status, code: error?.code }
  }
}

for (const isPurged of [false, true])
  test(`R28: a deployment that comes after its account was ${isPurged ? 'purged' : 'deleted'} is refused`, async () => {
    const name = isPurged ? 'purged' : 'deleted'
    await azure.account(name)
    const finish = await slowPut(name)
    await pause(300)
    await (isPurged ? azure.purgeAccount(name) : azure.deleteAccount(name))
    assert.deepEqual(await finish(), { status: 404, code: 'ResourceNotFound' })
    const copy = await copyOf(cloud.dataDir)
    try {
      assert.deepEqual(rowsIn(copy.path, 'accounts.deployments'), [])
    } finally {
      await copy.remove()
    }
  })

test('a deployment goes on where only the tags of its account change meanwhile', async () => {
  await azure.account('tagged')
  const finish = await slowPut('tagged')
  await pause(300)
  const { status } = await azure.arm('PATCH', azure.accountPath('tagged'), { tags: { a: 'b' } })
  assert.ok(status < 300, String(status))
  assert.deepEqual(await finish(), { status: 201, code: undefined })
})
