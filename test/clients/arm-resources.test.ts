import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { ResourceManagementClient } from '@azure/arm-resources'
import { SubscriptionClient as Subscriptions } from '@azure/arm-resources-subscriptions'
import { SubscriptionClient } from '@azure/arm-subscriptions'
import { cloudFor, type TestCloud } from '../support/cloud.ts'
import { officialClients } from '../support/official-clients.ts'

async function all<T>(list: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const one of list) found.push(one)
  return found
}

const names = (list: { name?: string | undefined }[]): string[] => list.map(({ name = '' }) => name).toSorted()

describe(
  '@azure/arm-resources, arm-resources-subscriptions and arm-subscriptions, unmodified',
  {
    concurrency: false,
  },
  () => {
    const ends: (() => Promise<void>)[] = []
    let cloud: TestCloud
    let client: ResourceManagementClient
    let seen: Subscriptions
    let owned: SubscriptionClient
    let location: string
    before(async () => {
      cloud = await cloudFor({ after: (end: () => Promise<void>) => void ends.push(end) })
      const { resourceManager: endpoint, subscriptionId } = cloud.endpoints
      ;({ location } = cloud.endpoints)
      const { credential } = officialClients(cloud.endpoints)
      const management = { endpoint, credentialScopes: `${endpoint}/.default` }
      client = new ResourceManagementClient(credential, subscriptionId, {
        endpoint,
        credentials: { scopes: [`${endpoint}/.default`] },
      })
      seen = new Subscriptions(credential, { endpoint, credentials: { scopes: [`${endpoint}/.default`] } })
      owned = new SubscriptionClient(credential, { ...management })
    })
    after(() => Promise.all(ends.map(end => end())))

    it('tenants, subscriptions and locations are listed', async () => {
      const { tenantId, subscriptionId } = cloud.endpoints
      assert.deepEqual(
        (await all(seen.tenants.list())).map(one => one.tenantId),
        [tenantId],
      )
      const [subscription] = await all(seen.subscriptions.list())
      assert.deepEqual([subscription?.subscriptionId, subscription?.state], [subscriptionId, 'Enabled'])
      assert.equal((await seen.subscriptions.get(subscriptionId)).tenantId, tenantId)
      assert.ok(names(await all(seen.subscriptions.listLocations(subscriptionId))).includes(location))
    })

    it('a subscription is created by an alias, renamed, cancelled and enabled again', async () => {
      const made = await owned.alias.beginCreateAndWait('second', {
        properties: { displayName: 'Second', workload: 'Production' },
      })
      const id = made.properties?.subscriptionId ?? ''
      assert.equal((await owned.subscription.rename(id, { subscriptionName: 'Renamed' })).subscriptionId, id)
      assert.equal((await seen.subscriptions.get(id)).displayName, 'Renamed')
      await owned.subscription.cancel(id)
      assert.notEqual((await seen.subscriptions.get(id)).state, 'Enabled')
      await owned.subscription.enable(id)
      assert.equal((await seen.subscriptions.get(id)).state, 'Enabled')
      await owned.alias.delete('second')
    })

    it('groups: created, found in any letter case, tagged, listed by tag', async () => {
      await client.resourceGroups.createOrUpdate('First', { location, tags: { team: 'a' } })
      await client.resourceGroups.createOrUpdate('second', { location })
      assert.equal((await client.resourceGroups.get('FIRST')).name, 'First')
      const filtered = client.resourceGroups.list({ filter: "tagName eq 'team' and tagValue eq 'a'" })
      assert.deepEqual(names(await all(filtered)), ['First'])
      await client.resourceGroups.update('second', { tags: { team: 'b' } })
      assert.deepEqual((await client.resourceGroups.get('second')).tags, { team: 'b' })
      assert.equal((await client.resourceGroups.checkExistence('none')).body, false)
      assert.equal((await client.resourceGroups.checkExistence('first')).body, true)
    })

    const at = (group: string, name: string) =>
      [group, 'Microsoft.CognitiveServices', '', 'accounts', name, '2025-06-01'] as const

    it('an account is a resource: created, read, changed and found in lists without its own client · R03 R04', async () => {
      const made = await client.resources.beginCreateOrUpdateAndWait(...at('First', 'generic'), {
        location,
        kind: 'OpenAI',
        sku: { name: 'S0' },
        identity: { type: 'SystemAssigned' },
        properties: { customSubDomainName: 'generic' },
      })
      assert.equal(
        (made.properties as { encryption: { keySource: string } }).encryption.keySource,
        'Microsoft.CognitiveServices',
      )
      assert.equal((await client.resources.checkExistence(...at('first', 'GENERIC'))).body, true)
      assert.equal((await client.resources.checkExistence(...at('first', 'none'))).body, false)
      await client.resources.beginUpdateAndWait(...at('First', 'generic'), { tags: { a: 'b' } })
      assert.deepEqual((await client.resources.getById(made.id ?? '', '2025-06-01')).tags, { a: 'b' })
      const filter = "resourceType eq 'Microsoft.CognitiveServices/accounts'"
      assert.deepEqual(names(await all(client.resources.list({ filter }))), ['generic'])
      assert.deepEqual(names(await all(client.resources.listByResourceGroup('second'))), [])
    })

    it('a resource moves to another group and back, after the question whether it may', async () => {
      const { id = '' } = await client.resources.get(...at('First', 'generic'))
      const targetResourceGroup = `/subscriptions/${cloud.endpoints.subscriptionId}/resourceGroups/second`
      await client.resources.beginValidateMoveResourcesAndWait('First', { resources: [id], targetResourceGroup })
      await client.resources.beginMoveResourcesAndWait('First', { resources: [id], targetResourceGroup })
      assert.deepEqual(names(await all(client.resources.listByResourceGroup('second'))), ['generic'])
      await assert.rejects(client.resources.get(...at('First', 'generic')), { code: 'ResourceNotFound' })
      const again = client.resources.beginValidateMoveResourcesAndWait('First', {
        resources: [id],
        targetResourceGroup,
      })
      await assert.rejects(again, { statusCode: 404 })
    })

    it('tags: at a resource, and as names with values', async () => {
      const { id = '' } = await client.resources.get(...at('second', 'generic'))
      await client.tagsOperations.beginCreateOrUpdateAtScopeAndWait(id, { properties: { tags: { one: '1' } } })
      const patch = { operation: 'Merge', properties: { tags: { two: '2' } } } as const
      const merged = await client.tagsOperations.beginUpdateAtScopeAndWait(id, patch)
      assert.deepEqual(merged.properties?.tags, { one: '1', two: '2' })
      assert.deepEqual((await client.tagsOperations.getAtScope(id)).properties?.tags, { one: '1', two: '2' })
      await client.tagsOperations.createOrUpdate('cost')
      await client.tagsOperations.createOrUpdateValue('cost', 'low')
      assert.ok((await all(client.tagsOperations.list())).some(({ tagName }) => tagName === 'cost'))
      await client.tagsOperations.deleteValue('cost', 'low')
      await client.tagsOperations.delete('cost')
      await client.tagsOperations.beginDeleteAtScopeAndWait(id)
      assert.deepEqual((await client.resources.get(...at('second', 'generic'))).tags ?? {}, {})
    })

    it('providers: registered, with their types', async () => {
      const { registrationState, resourceTypes = [] } = await client.providers.get('microsoft.keyvault')
      assert.equal(registrationState, 'Registered')
      assert.ok(resourceTypes.some(({ resourceType }) => resourceType === 'vaults'))
      assert.equal((await client.providers.register('Microsoft.KeyVault')).registrationState, 'Registered')
      const namespaces = (await all(client.providers.list())).map(({ namespace }) => namespace)
      assert.ok(namespaces.includes('Microsoft.CognitiveServices'))
      await assert.rejects(client.providers.get('Microsoft.Nothing'), { statusCode: 404 })
    })

    it('a deleted group takes its resources along', async () => {
      await client.resources.beginDeleteAndWait(...at('second', 'generic'))
      await client.resourceGroups.beginDeleteAndWait('second')
      assert.deepEqual(names(await all(client.resourceGroups.list())), ['First'])
      assert.equal((await client.resourceGroups.checkExistence('second')).body, false)
      const operations = await all(client.operations.list())
      assert.ok(operations.length > 0)
    })
  },
)
