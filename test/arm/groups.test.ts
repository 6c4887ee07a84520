import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { cloudFor } from '../support/cloud.ts'
import { administratorOf, newPrincipal, type Client } from './arm.fixture.ts'

describe('Resource Manager: groups, resources and tags over HTTP', { concurrency: false }, () => {
  let admin: Client
  let sub: string
  let location: string
  const ends: (() => Promise<void>)[] = []
  before(async () => {
    const cloud = await cloudFor({ after: (end: () => Promise<void>) => void ends.push(end) })
    admin = await administratorOf(cloud.endpoints)
    sub = `/subscriptions/${cloud.endpoints.subscriptionId}`
    location = cloud.endpoints.location
  })
  after(() => Promise.all(ends.map(end => end())))

  const account = (group: string, name: string) =>
    `${sub}/resourceGroups/${group}/providers/Microsoft.CognitiveServices/accounts/${name}`
  const createGroup = (name: string, tags?: object) =>
    admin.arm('PUT', `${sub}/resourcegroups/${name}`, { location, tags })
  const createAccount = (group: string, name: string, more: object = {}) =>
    admin.arm('PUT', account(group, name), { location, kind: 'OpenAI', sku: { name: 'S0' }, ...more })
  const createVault = (group: string, name: string, more: object = {}) =>
    admin.arm('PUT', `${sub}/resourceGroups/${group}/providers/Microsoft.KeyVault/vaults/${name}`, {
      location,
      properties: {
        tenantId: admin.login.tenantId,
        sku: { family: 'A', name: 'standard' },
        accessPolicies: [],
        ...more,
      },
    })

  it('values of a tag name that come at once are kept or refused with 409, and none is lost', async () => {
    const path = `${sub}/tagNames/at-once`
    assert.equal((await admin.arm('PUT', path)).status, 201)
    const values = Array.from({ length: 10 }, (_, n) => `v${n}`)
    const replies = await Promise.all(values.map(value => admin.arm('PUT', `${path}/tagValues/${value}`)))
    for (const { status } of replies) assert.ok([201, 409].includes(status), String(status))
    const listed = (await admin.arm('GET', `${sub}/tagNames`)).body as {
      value: { tagName: string; values: { tagValue: string }[] }[]
    }
    const kept = listed.value.find(({ tagName }) => tagName === 'at-once')?.values.map(({ tagValue }) => tagValue)
    assert.deepEqual(
      kept?.toSorted(),
      values.filter((_, n) => replies[n]?.status === 201),
    )
  })

  it('names are found in any letter case and returned as first written', async () => {
    const made = await createGroup('MixedCase', { Team: 'blue' })
    assert.equal(made.status, 201)
    for (const path of [
      `${sub}/resourceGroups/MIXEDCASE`,
      `${sub.toUpperCase()}/RESOURCEGROUPS/mixedcase/`,
      `/${sub}//resourcegroups/mixedCase`,
    ]) {
      const { status, body } = await admin.arm('GET', path)
      assert.equal(status, 200, path)
      assert.equal(body.id, `${sub}/resourceGroups/MixedCase`)
    }
    const again = await createGroup('mixedcase', { Team: 'red' })
    assert.equal(again.status, 200)
    assert.deepEqual([again.body.name, again.body.tags], ['MixedCase', { Team: 'red' }])
    assert.equal((await admin.arm('HEAD', `${sub}/resourcegroups/mixedcase`)).status, 204)
    assert.equal((await admin.arm('HEAD', `${sub}/resourcegroups/none`)).status, 404)
    const patched = await admin.arm('PATCH', `${sub}/resourcegroups/MIXEDCASE`, { tags: { a: 'b' } })
    assert.deepEqual([patched.body.name, patched.body.tags], ['MixedCase', { a: 'b' }])
    assert.equal(
      (
        await admin.arm(
          'GET',
          `${sub}/resourcegroups?$filter=${encodeURIComponent("tagName eq 'A' and tagValue eq 'b'")}`,
        )
      ).body.value.length,
      1,
    )
    const moved = await admin.arm('PUT', `${sub}/resourcegroups/mixedcase`, { location: 'japaneast' })
    assert.deepEqual([moved.status, moved.body.error.code], [409, 'InvalidResourceGroupLocation'])
  })

  it('a group is deleted with everything in it, as an asynchronous operation', async () => {
    await createGroup('Doomed')
    await createAccount('doomed', 'Doomed-Account')
    await createVault('doomed', 'doomed-vault')
    const { principalId } = (await createAccount('doomed', 'with-identity', { identity: { type: 'SystemAssigned' } }))
      .body.identity
    const scope = `${sub}/resourceGroups/Doomed`
    const reader = 'acdd72a7-3385-48ef-bd42-f606fba81ae7'
    const assignment = `${scope}/providers/Microsoft.Authorization/roleAssignments/11111111-2222-4333-8444-555555555555`
    assert.equal(
      (await admin.arm('PUT', assignment, { properties: { roleDefinitionId: reader, principalId } })).status,
      201,
    )
    const accepted = await admin.arm('DELETE', `${sub}/resourcegroups/DOOMED`)
    assert.equal(accepted.status, 202)
    assert.match(accepted.headers.get('location') ?? '', /\/operationresults\/[0-9a-f-]{36}\?api-version=2022-09-01$/)
    assert.equal(accepted.headers.get('retry-after'), '1')
    assert.equal((await admin.finished(accepted)).status, 200)
    assert.equal((await admin.arm('GET', scope)).body.error.code, 'ResourceGroupNotFound')
    assert.equal((await admin.arm('GET', account('doomed', 'doomed-account'))).status, 404)
    const deleted = await admin.arm('GET', `${sub}/providers/Microsoft.CognitiveServices/deletedAccounts`)
    assert.deepEqual(deleted.body.value.map((one: { name: string }) => one.name).sort(), [
      'Doomed-Account',
      'with-identity',
    ])
    const vaults = await admin.arm('GET', `${sub}/providers/Microsoft.KeyVault/deletedVaults`)
    assert.deepEqual(
      vaults.body.value.map((one: { name: string }) => one.name),
      ['doomed-vault'],
    )
    await createGroup('doomed')
    assert.equal((await admin.arm('GET', assignment)).status, 404)
    assert.equal((await admin.arm('DELETE', `${sub}/resourcegroups/none`)).status, 404)
  })

  it('several requests to delete a group join one operation', async () => {
    await createGroup('joined')
    for (const name of ['one-of-joined', 'two-of-joined']) await createAccount('joined', name)
    const path = `${sub}/resourcegroups/joined`
    const answers = await Promise.all([1, 2, 3, 4].map(() => admin.arm('DELETE', path)))
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [202])
    assert.equal(new Set(answers.map(({ headers }) => headers.get('location')?.split('?')[0])).size, 1)
    for (const answer of answers) assert.equal((await admin.finished(answer)).status, 200)
    assert.equal((await admin.arm('GET', path)).body.error.code, 'ResourceGroupNotFound')
  })

  it('operations are shown only to the caller that started them and to readers', async () => {
    await createGroup('short')
    const accepted = await admin.arm('DELETE', `${sub}/resourcegroups/short`)
    const location202 = accepted.headers.get('location') ?? ''
    await admin.finished(accepted)
    const status = await admin.arm('GET', location202.replace('operationresults', 'operationstatuses'))
    assert.equal(status.body.status, 'Succeeded')
    assert.ok(Date.parse(status.body.endTime) >= Date.parse(status.body.startTime))
    const nobody = await newPrincipal(admin, admin, 'nobody')
    assert.equal((await nobody.arm('GET', location202)).status, 403)
    assert.equal((await admin.arm('GET', `${sub}/operationresults/none`)).body.error.code, 'OperationNotFound')
  })

  it('lists filter by type, name, group, location and tag, and come in pages', async () => {
    await createGroup('Lists')
    for (const name of ['list-one', 'list-two', 'other'])
      await createAccount('lists', name, { tags: { Stage: name.slice(5) } })
    await createVault('lists', 'list-vault')
    const names = async (filter: string) => {
      const { status, body } = await admin.arm('GET', `${sub}/resources?$filter=${encodeURIComponent(filter)}`)
      assert.equal(status, 200, JSON.stringify(body))
      return body.value.map((one: { name: string }) => one.name).sort()
    }
    assert.deepEqual(await names("resourceGroup eq 'LISTS'"), ['list-one', 'list-two', 'list-vault', 'other'])
    assert.deepEqual(await names("resourceGroup eq 'lists' and resourceType eq 'microsoft.keyvault/vaults'"), [
      'list-vault',
    ])
    assert.deepEqual(await names("name eq 'List-One'"), ['list-one'])
    assert.deepEqual(await names("name eq 'list-one' or name eq 'LIST-TWO' and location eq 'nowhere'"), ['list-one'])
    assert.deepEqual(
      await names(
        "substringof('list-', name) and resourceType ne 'Microsoft.KeyVault/vaults' and resourceGroup eq 'lists'",
      ),
      ['list-one', 'list-two'],
    )
    assert.deepEqual(await names("tagName eq 'stage' and tagValue eq 'two'"), ['list-two'])
    assert.deepEqual(await names("resourceGroup eq 'lists' and location eq 'Japan East'"), [])
    const first = await admin.arm('GET', `${sub}/resourceGroups/lists/resources?$top=3`)
    assert.equal(first.body.value.length, 3)
    const second = await admin.arm('GET', first.body.nextLink)
    assert.equal(second.body.value.length, 1)
    assert.equal(second.body.nextLink, undefined)
    for (const wrong of ["name eq 'a", "size eq '1'", "name gt 'a'", "name eq 'a' or"]) {
      const { status, body } = await admin.arm('GET', `${sub}/resources?$filter=${encodeURIComponent(wrong)}`)
      assert.deepEqual([status, body.error.code], [400, 'InvalidFilterInQueryString'], wrong)
    }
  })

  it('tags of a subscription, a group and a resource are replaced, merged and deleted', async () => {
    await createGroup('Tagged')
    await createAccount('tagged', 'tagged')
    await createVault('tagged', 'tagged-vault')
    const scopes = [
      sub,
      `${sub}/resourceGroups/tagged`,
      account('tagged', 'tagged'),
      `${sub}/resourceGroups/tagged/providers/Microsoft.KeyVault/vaults/tagged-vault`,
    ]
    for (const scope of scopes) {
      const path = `${scope}/providers/Microsoft.Resources/tags/default`
      const change = async (operation: string, tags: object) =>
        (await admin.arm('PATCH', path, { operation, properties: { tags } })).body.properties.tags
      assert.deepEqual((await admin.arm('PUT', path, { properties: { tags: { A: '1' } } })).body.properties.tags, {
        A: '1',
      })
      assert.deepEqual(await change('Merge', { a: '2', b: '3' }), { A: '2', b: '3' })
      assert.deepEqual(await change('Delete', { A: '2', b: 'other' }), { b: '3' })
      assert.deepEqual(await change('Replace', { c: '4' }), { c: '4' })
      assert.deepEqual((await admin.arm('GET', path)).body.properties.tags, { c: '4' })
      assert.equal((await admin.arm('DELETE', path)).status, 200)
      assert.deepEqual((await admin.arm('GET', path)).body.properties.tags, {})
      assert.equal((await admin.arm('PUT', path, { properties: { tags: { 'a<b': '1' } } })).status, 400)
    }
    await admin.arm('PATCH', `${account('tagged', 'tagged')}/providers/Microsoft.Resources/tags/default`, {
      operation: 'Merge',
      properties: { tags: { cost: 'low' } },
    })
    assert.deepEqual((await admin.arm('GET', account('tagged', 'tagged'))).body.tags, { cost: 'low' })
    const known = await admin.arm('GET', `${sub}/tagNames`)
    assert.equal(known.body.value.find((one: { tagName: string }) => one.tagName === 'cost').count.value, 1)
  })
})
