import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { CognitiveServicesManagementClient, type AccountProperties } from '@azure/arm-cognitiveservices'
import { AzureOpenAI } from 'openai'
import { administratorCredential } from '../../src/harness/azure-client.ts'
import type { CloudProcess } from '../../src/harness/cloud-process.ts'
import { administratorOf, type Client } from '../arm/arm.fixture.ts'
import { cloudFor } from '../support/cloud.ts'

const examples = Array.from(
  { length: 12 },
  () => '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}',
).join('\n')

async function all<T>(list: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const one of list) found.push(one)
  return found
}

describe('@azure/arm-cognitiveservices, unmodified', { concurrency: false }, () => {
  let cloud: CloudProcess & { dataDir: string }
  let admin: Client
  let client: CognitiveServicesManagementClient
  let sub: string
  let location: string
  const ends: (() => Promise<void>)[] = []
  const polling = { updateIntervalInMs: 20 }
  before(async () => {
    cloud = await cloudFor({ after: (end: () => Promise<void>) => void ends.push(end) })
    const { resourceManager, subscriptionId } = cloud.endpoints
    ;({ location } = cloud.endpoints)
    admin = await administratorOf(cloud.endpoints)
    sub = `/subscriptions/${subscriptionId}`
    client = new CognitiveServicesManagementClient(administratorCredential(cloud.endpoints), subscriptionId, {
      endpoint: resourceManager,
    })
    for (const group of ['rg', 'Other', 'myjstest'])
      await admin.arm('PUT', `${sub}/resourceGroups/${group}`, { location })
  })
  after(() => Promise.all(ends.map(end => end())))

  const create = (name: string, more: object = {}, group = 'rg') =>
    client.accounts.beginCreateAndWait(
      group,
      name,
      { location, kind: 'OpenAI', sku: { name: 'S0' }, identity: { type: 'SystemAssigned' }, ...more },
      polling,
    )
  const openai = (name: string, apiKey: string) =>
    new AzureOpenAI({
      endpoint: `https://${name}${cloud.endpoints.openAiSuffix}`,
      apiKey,
      apiVersion: '2024-10-21',
      maxRetries: 0,
    })
  const code = (promise: Promise<unknown>) =>
    promise.then(
      () => 'done',
      (error: { code: string }) => error.code,
    )

  it("the package's own tests of version 7.6.0, with today's client", async () => {
    const [group, name] = ['myjstest', 'myaccountxxxx1']
    const made = await create(name, { kind: 'CognitiveServices', location: 'East US' }, group)
    assert.equal(made.name, name)
    assert.equal((await client.accounts.get(group, name)).name, name)
    assert.equal((await all(client.accounts.listByResourceGroup(group))).length, 1)
    assert.notEqual((await client.accounts.regenerateKey(group, name, 'Key2')).key2, '')
    const updated = await client.accounts.beginUpdateAndWait(group, name, { tags: { tag1: 'value1' } }, polling)
    assert.equal(updated.type, 'Microsoft.CognitiveServices/accounts')
    await client.accounts.beginDeleteAndWait(group, name, polling)
    assert.equal((await all(client.accounts.listByResourceGroup(group))).length, 0)
    assert.ok((await all(client.operations.list())).length > 0)
  })

  it('create, get, list, update; encryption is always there; names in any letter case · R04 R13', async () => {
    const made = await create('Mixed-Case', { tags: { a: 'b' } })
    assert.deepEqual(
      [made.name, made.properties?.provisioningState, made.properties?.customSubDomainName],
      ['Mixed-Case', 'Succeeded', 'mixed-case'],
    )
    assert.equal(made.properties?.encryption?.keySource, 'Microsoft.CognitiveServices')
    assert.match(made.identity?.principalId ?? '', /^[0-9a-f-]{36}$/)
    const got = await client.accounts.get('RG', 'mixed-CASE')
    assert.equal(got.id, `${sub}/resourceGroups/rg/providers/Microsoft.CognitiveServices/accounts/Mixed-Case`)
    assert.ok((await all(client.accounts.list())).some(({ id }) => id === got.id))
    const updated = await client.accounts.beginUpdateAndWait('rg', 'mixed-case', { tags: { c: 'd' } }, polling)
    assert.deepEqual([updated.tags, updated.identity?.principalId], [{ c: 'd' }, made.identity?.principalId])
    assert.equal(await code(create('mixed-case', { location: 'japaneast' })), 'InvalidResourceLocation')
    assert.equal(await code(create('bad name')), 'InvalidResourceName')
    assert.equal(await code(create('x1', { kind: 'Speech' })), 'InvalidKind')
    assert.equal(await code(create('x2', { sku: { name: 'F7' } })), 'InvalidSku')
    assert.equal(await code(create('x3', { location: 'mars' })), 'LocationNotAvailable')
    assert.equal(await code(create('x4', {}, 'none')), 'ResourceGroupNotFound')
  })

  it('subdomains are unique in the whole cloud, those of deleted accounts included', async () => {
    await create('first', { properties: { customSubDomainName: 'Taken' } })
    assert.equal(
      await code(create('second', { properties: { customSubDomainName: 'taken' } }, 'Other')),
      'CustomDomainInUse',
    )
    const free = (subdomainName: string) =>
      client.checkDomainAvailability(subdomainName, 'Microsoft.CognitiveServices/accounts')
    assert.equal((await free('TAKEN')).isSubdomainAvailable, false)
    assert.equal((await free('free')).isSubdomainAvailable, true)
    await client.accounts.beginDeleteAndWait('rg', 'first', polling)
    assert.equal((await free('taken')).isSubdomainAvailable, false)
    assert.equal(await code(create('second', { properties: { customSubDomainName: 'taken' } })), 'CustomDomainInUse')
    // The request does not name one, so another one is found.
    await create('same-name')
    assert.match(
      (await create('same-name', {}, 'Other')).properties?.customSubDomainName ?? '',
      /^same-name-[0-9a-f]{8}$/,
    )
  })

  it('models, skus, usages and locations are told', async () => {
    await create('informed')
    const models = await all(client.accounts.listModels('rg', 'informed'))
    assert.ok(models.some(({ name, capabilities }) => name === 'gpt-4o-mini' && capabilities?.['fineTune'] === 'true'))
    assert.equal((await all(client.models.list(location))).length, models.length)
    assert.equal((await client.accounts.listSkus('rg', 'informed')).value?.[0]?.sku?.name, 'S0')
    assert.equal((await client.accounts.listUsages('rg', 'informed')).value?.[0]?.currentValue, 0)
    assert.ok((await all(client.resourceSkus.list())).some(({ kind }) => kind === 'OpenAI'))
    assert.ok((await all(client.usages.list(location))).length > 0)
  })

  it('capacities of models, skus and subdomains that can be had are told', async () => {
    const models = await all(client.modelCapacities.list('OpenAI', 'gpt-4o-mini', '1'))
    assert.ok(models.some(one => one.location === location && (one.properties?.availableCapacity ?? 0) > 0))
    assert.equal(
      (await all(client.locationBasedModelCapacities.list(location, 'OpenAI', 'gpt-4o-mini', '1'))).length,
      1,
    )
    assert.deepEqual(await all(client.modelCapacities.list('OpenAI', 'none', '1')), [])
    const type = 'Microsoft.CognitiveServices/accounts'
    const { value: skus = [] } = await client.checkSkuAvailability(location, ['S0', 'F0'], 'OpenAI', type)
    assert.deepEqual(
      skus.map(({ skuName, skuAvailable }) => [skuName, skuAvailable]),
      [
        ['S0', true],
        ['F0', false],
      ],
    )
    assert.equal((await client.checkDomainAvailability('is-free', type)).isSubdomainAvailable, true)
  })

  it('a change of an account`s location or kind is refused, not ignored', async () => {
    await create('fixed')
    const path = `${sub}/resourceGroups/rg/providers/Microsoft.CognitiveServices/accounts/fixed`
    for (const [body, status, code] of [
      [{ location: 'northeurope' }, 409, 'InvalidResourceLocation'],
      [{ kind: 'AIServices' }, 400, 'KindImmutable'],
    ] as const) {
      const patched = await admin.arm('PATCH', path, body)
      assert.deepEqual([patched.status, patched.body.error.code], [status, code])
      const put = await admin.arm('PUT', path, { location, kind: 'OpenAI', sku: { name: 'S0' }, ...body })
      assert.deepEqual([put.status, put.body.error.code], [status, code])
    }
    assert.equal((await admin.arm('PATCH', path, { location, kind: 'openai', tags: { a: 'b' } })).status, 200)
  })

  it('a regenerated key is no longer valid, the other one is', async () => {
    await create('keyed')
    const before = await client.accounts.listKeys('rg', 'keyed')
    const after1 = await client.accounts.regenerateKey('rg', 'keyed', 'Key1')
    assert.notEqual(after1.key1, before.key1)
    assert.equal(after1.key2, before.key2)
    const status = (key = '') =>
      openai('keyed', key)
        .models.list()
        .then(
          () => 200,
          (error: { status: number }) => error.status,
        )
    assert.deepEqual([await status(before.key1), await status(before.key2), await status(after1.key1)], [401, 200, 200])
  })

  it('the firewall checks the peer of the socket, not a header', async () => {
    await create('walled')
    const { key1 = '' } = await client.accounts.listKeys('rg', 'walled')
    const set = (properties: AccountProperties) =>
      client.accounts.beginUpdateAndWait('rg', 'walled', { properties }, polling)
    const status = async () => {
      const headers = { 'api-key': key1, 'x-forwarded-for': '203.0.113.7', 'x-real-ip': '203.0.113.7' }
      return (await fetch(`https://walled${cloud.endpoints.openAiSuffix}/openai/v1/models`, { headers })).status
    }
    assert.equal(await status(), 200)
    const shown = await set({ networkAcls: { defaultAction: 'Deny', ipRules: [{ value: '203.0.113.0/24' }] } })
    assert.deepEqual(shown.properties?.networkAcls?.ipRules, [{ value: '203.0.113.0/24' }])
    assert.equal(await status(), 403)
    await set({ networkAcls: { defaultAction: 'Deny', ipRules: [{ value: '127.0.0.0/8' }, { value: '::1' }] } })
    assert.equal(await status(), 200)
    await set({ publicNetworkAccess: 'Disabled' })
    assert.equal(await status(), 403)
    await set({ publicNetworkAccess: 'Enabled' })
    assert.equal(
      await code(set({ networkAcls: { defaultAction: 'Deny', ipRules: [{ value: 'everywhere' }] } })),
      'InvalidRequestContent',
    )
  })

  it('changes of an outdated state are refused with 412, unchanged reads answer 304', async () => {
    await create('tagged')
    const path = `${sub}/resourceGroups/rg/providers/Microsoft.CognitiveServices/accounts/tagged`
    const { etag } = (await admin.arm('GET', path)).body
    assert.equal((await admin.arm('GET', path, undefined, { 'if-none-match': etag })).status, 304)
    assert.equal((await admin.arm('PATCH', path, { tags: { a: '1' } }, { 'if-match': etag })).status, 200)
    const refused = await admin.arm('PATCH', path, { tags: { a: '2' } }, { 'if-match': etag })
    assert.deepEqual([refused.status, refused.body.error.code], [412, 'PreconditionFailed'])
    assert.equal((await admin.arm('DELETE', path, undefined, { 'if-match': etag })).status, 412)
    assert.equal((await admin.arm('PUT', path, { location }, { 'if-none-match': '*' })).status, 412)
    assert.deepEqual((await admin.arm('GET', path)).body.tags, { a: '1' })
  })

  it('deleted: its host, keys and deployments end; restored: all is back; purged: its keys and blobs are gone · R26 R28', async () => {
    const blobs = async (): Promise<number> =>
      (await readdir(join(cloud.dataDir, 'blobs'), { recursive: true, withFileTypes: true })).filter(one =>
        one.isFile(),
      ).length
    const before = await blobs()
    const made = await create('mortal')
    const { key1 = '' } = await client.accounts.listKeys('rg', 'mortal')
    const file = await openai('mortal', key1).files.create({
      file: new File([examples], 'a.jsonl'),
      purpose: 'fine-tune',
    })
    const model = { format: 'OpenAI', name: 'gpt-4o-mini', version: '1' }
    const deployed = await client.deployments.beginCreateOrUpdateAndWait(
      'rg',
      'mortal',
      'base',
      { sku: { name: 'Standard', capacity: 1 }, properties: { model } },
      polling,
    )
    assert.equal(deployed.properties?.provisioningState, 'Succeeded')
    assert.deepEqual(
      (await all(client.deployments.list('rg', 'mortal'))).map(({ name }) => name),
      ['base'],
    )
    const content = async () => (await openai('mortal', key1).files.content(file.id)).text()
    const chat = () =>
      new AzureOpenAI({
        endpoint: `https://mortal${cloud.endpoints.openAiSuffix}`,
        apiKey: key1,
        apiVersion: '2024-10-21',
        deployment: 'base',
        maxRetries: 0,
      }).chat.completions.create({ model: 'base', messages: [{ role: 'user', content: 'Hi' }], max_tokens: 1 })
    assert.equal(await content(), examples)
    assert.equal((await chat()).choices.length, 1)

    await client.accounts.beginDeleteAndWait('rg', 'mortal', polling)
    assert.equal(await code(client.accounts.get('rg', 'mortal')), 'ResourceNotFound')
    await assert.rejects(content(), { status: 404 })
    await assert.rejects(chat(), { status: 404 })
    assert.equal(await code(create('mortal')), 'FlagMustBeSetForRestore')
    const deleted = await client.deletedAccounts.get(location, 'rg', 'mortal')
    const { deletionDate = '', scheduledPurgeDate = '' } = deleted.properties ?? {}
    assert.equal(Date.parse(scheduledPurgeDate) - Date.parse(deletionDate), 48 * 3_600_000)
    assert.ok((await all(client.deletedAccounts.list())).some(({ name }) => name === 'mortal'))

    const restored = await create('mortal', { properties: { restore: true } })
    assert.equal(restored.identity?.principalId, made.identity?.principalId)
    assert.equal(await content(), examples)
    assert.equal((await chat()).choices.length, 1)
    assert.equal(
      await code(create('never-was', { properties: { restore: true } })),
      'CanNotRestoreANonExistingResource',
    )

    await client.accounts.beginDeleteAndWait('rg', 'mortal', polling)
    await client.deletedAccounts.beginPurgeAndWait(location, 'rg', 'mortal', polling)
    assert.equal(await code(client.deletedAccounts.get(location, 'rg', 'mortal')), 'ResourceNotFound')
    assert.equal(await blobs(), before)
    const again = await create('mortal')
    assert.notEqual(again.properties?.internalId, made.properties?.internalId)
    await assert.rejects(content(), { status: 401 })
    const { key1: fresh = '' } = await client.accounts.listKeys('rg', 'mortal')
    assert.deepEqual(await all(openai('mortal', fresh).files.list()), [])
    assert.deepEqual(await all(client.deployments.list('rg', 'mortal')), [])
  })
})
