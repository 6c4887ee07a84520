import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Scene } from '../../src/harness/scene.ts'
import { sceneFor } from '../support/cloud.ts'
import { administratorOf, assign, newPrincipal, newTenant, ROLES, type Client } from './arm.fixture.ts'

describe('moveResources', { concurrency: false }, () => {
  let admin: Client
  let scene: Scene
  let keyVersion: string
  let sub: string
  let location: string
  const ends: (() => Promise<void>)[] = []
  before(async () => {
    const made = await sceneFor({ after: (end: () => Promise<void>) => void ends.push(end) })
    scene = made.scene
    keyVersion = made.keyVersion
    admin = await administratorOf(scene.endpoints)
    sub = `/subscriptions/${scene.endpoints.subscriptionId}`
    location = scene.endpoints.location
    await admin.arm('PUT', `${sub}/resourceGroups/Target`, { location })
  })
  after(() => Promise.all(ends.map(end => end())))

  const accountIn = (at: string, group: string) =>
    `${at}/resourceGroups/${group}/providers/Microsoft.CognitiveServices/accounts/contoso`
  const vaultIn = (at: string, group: string) =>
    `${at}/resourceGroups/${group}/providers/Microsoft.KeyVault/vaults/contoso-keys`
  const move = async (by: Client, from: string, resources: string[], target: string, verb = 'moveResources') => {
    const reply = await by.arm('POST', `${from}/${verb}`, { resources, targetResourceGroup: target })
    return reply.status === 202 ? by.finished(reply) : reply
  }

  it('validation says what a move would say, and moves nothing', async () => {
    const from = `${sub}/resourceGroups/demo`
    const target = `${sub}/resourceGroups/target`
    assert.equal((await move(admin, from, [accountIn(sub, 'demo')], target, 'validateMoveResources')).status, 204)
    assert.equal((await admin.arm('GET', accountIn(sub, 'demo'))).status, 200)
    await admin.arm('PUT', `${sub}/resourceGroups/Busy`, { location })
    await admin.arm('PUT', accountIn(sub, 'Busy'), {
      location,
      kind: 'OpenAI',
      sku: { name: 'S0' },
      properties: { customSubDomainName: 'busy' },
    })
    const refused = await move(
      admin,
      from,
      [accountIn(sub, 'demo'), vaultIn(sub, 'demo')],
      `${sub}/resourceGroups/busy`,
      'validateMoveResources',
    )
    assert.deepEqual([refused.status, refused.body.error.code], [409, 'ResourceMoveProviderValidationFailed'])
    assert.equal(refused.body.error.details[0].code, 'ResourceNameInUse')
    assert.equal(
      (await move(admin, from, [accountIn(sub, 'demo'), vaultIn(sub, 'demo')], `${sub}/resourceGroups/busy`)).status,
      409,
    )
    assert.equal((await admin.arm('GET', vaultIn(sub, 'demo'))).status, 200)
  })

  it('after a move to another group an account with its key, files and deployments works as before', async () => {
    await scene.setEncryption(keyVersion)
    const examples = Array.from(
      { length: 12 },
      () => '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}',
    ).join('\n')
    const file = await scene.openai.files.create({ file: new File([examples], 'a.jsonl'), purpose: 'fine-tune' })
    const someone = await newPrincipal(admin, admin, 'reader')
    await assign(admin, accountIn(sub, 'demo'), someone.objectId, ROLES.reader)
    const before = (await admin.arm('GET', accountIn(sub, 'demo'))).body
    const moved = await move(
      admin,
      `${sub}/resourcegroups/DEMO`,
      [accountIn(sub, 'Demo').toUpperCase(), vaultIn(sub, 'demo')],
      `${sub}/resourceGroups/target`,
    )
    assert.equal(moved.status, 200, JSON.stringify(moved.body))
    const { body } = await admin.arm('GET', accountIn(sub, 'target'))
    assert.equal(body.id, accountIn(sub, 'Target'))
    assert.deepEqual([body.identity, body.properties.internalId], [before.identity, before.properties.internalId])
    assert.equal((await admin.arm('GET', accountIn(sub, 'demo'))).status, 404)
    assert.equal((await admin.arm('GET', vaultIn(sub, 'target'))).body.id, vaultIn(sub, 'Target'))
    assert.equal(await (await scene.openai.files.content(file.id)).text(), examples)
    assert.equal((await someone.arm('GET', accountIn(sub, 'target'))).status, 403)
    assert.equal(
      (
        await admin.arm('PATCH', accountIn(sub, 'target'), {
          properties: { encryption: { keySource: 'Microsoft.CognitiveServices' } },
        })
      ).status,
      200,
    )
  })

  it('they move to another subscription of the tenant, but not to another tenant or without rights at both ends', async () => {
    const second = (await admin.arm('PUT', '/providers/Microsoft.Subscription/aliases/second', { properties: {} })).body
      .properties.subscriptionId
    const at = `/subscriptions/${second}`
    await admin.arm('PUT', `${at}/resourceGroups/there`, { location })
    const from = `${sub}/resourceGroups/target`
    const half = await newPrincipal(admin, admin, 'half')
    await assign(admin, from, half.objectId, ROLES.contributor)
    assert.equal((await move(half, from, [accountIn(sub, 'target')], `${at}/resourceGroups/there`)).status, 403)
    assert.equal(
      (await move(admin, from, [accountIn(sub, 'target'), vaultIn(sub, 'target')], `${at}/resourceGroups/there`))
        .status,
      200,
    )
    assert.equal((await admin.arm('GET', accountIn(at, 'there'))).body.properties.customSubDomainName, 'contoso')
    assert.deepEqual((await admin.arm('GET', `${from}/resources`)).body.value, [])

    const fabrikam = await newTenant(admin, 'Fabrikam')
    const foreign = (await fabrikam.arm('PUT', '/providers/Microsoft.Subscription/aliases/theirs', { properties: {} }))
      .body.properties.subscriptionId
    await fabrikam.arm('PUT', `/subscriptions/${foreign}/resourceGroups/rg`, { location })
    const refused = await move(
      admin,
      `${at}/resourceGroups/there`,
      [accountIn(at, 'there')],
      `/subscriptions/${foreign}/resourceGroups/rg`,
    )
    assert.deepEqual([refused.status, refused.body.error.code], [401, 'InvalidAuthenticationTokenTenant'])
    const wrong = async (resources: string[], target: string) =>
      (await move(admin, `${at}/resourceGroups/there`, resources, target)).body.error.code
    assert.equal(await wrong([accountIn(sub, 'demo')], `${at}/resourceGroups/there`), 'ResourceMoveFailed')
    assert.equal(await wrong([accountIn(sub, 'demo')], from), 'ResourceNotInSourceGroup')
    assert.equal(await wrong([`${accountIn(at, 'there')}-none`], from), 'ResourceNotFound')
    assert.equal(await wrong([accountIn(at, 'there')], 'nowhere'), 'InvalidTargetResourceGroup')
    assert.equal(await wrong([accountIn(at, 'there')], `${sub}/resourceGroups/none`), 'ResourceGroupNotFound')
  })
})
