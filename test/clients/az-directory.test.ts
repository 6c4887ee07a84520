import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { AzSession, noAz } from '../support/az-session.ts'
import { cloudFor, type TestCloud } from '../support/cloud.ts'
import { ownToken } from '../support/graph.ts'

/** Entra through the unmodified az: the requests of `az ad` and `az role` to Microsoft Graph. */
describe('az ad, unmodified', { concurrency: false, skip: noAz }, () => {
  const ends: (() => Promise<void>)[] = []
  let cloud: TestCloud
  let az: AzSession
  let appId: string
  let domain: string
  const isGood = (clientSecret: string): Promise<boolean> =>
    ownToken(cloud.endpoints, { clientId: appId, clientSecret }, 'https://vault.azure.net/.default').then(
      () => true,
      () => false,
    )

  before(async () => {
    cloud = await cloudFor({ after: (end: () => Promise<void>) => void ends.push(end) })
    domain = cloud.endpoints.administrator.userName.split('@')[1] ?? ''
    az = await AzSession.in(cloud, ends)
  })
  after(() => Promise.all(ends.map(end => end())))

  it('app: created, found by name, filter and id, renamed', async () => {
    ;({ appId } = await az.run('ad app create --display-name probe'))
    assert.equal((await az.run('ad app list --display-name prob'))[0].appId, appId)
    assert.equal((await az.run('ad app list --filter', "displayName eq 'probe'")).length, 1)
    assert.equal((await az.run(`ad app list --app-id ${appId}`)).length, 1)
    await az.run(`ad app update --id ${appId} --display-name renamed`)
    assert.equal((await az.run(`ad app show --id ${appId}`)).displayName, 'renamed')
    assert.deepEqual(await az.run(`ad app owner list --id ${appId}`), [])
  })

  it('sp: created for the application, found by its name; its secret is reset', async () => {
    await az.run(`ad sp create --id ${appId}`)
    assert.equal((await az.run(`ad sp list --spn ${appId}`)).length, 1)
    assert.ok((await az.run('ad sp list --all')).length >= 2)
    const first = (await az.run(`ad sp credential reset --id ${appId}`)).password
    assert.equal(await isGood(first), true)
    assert.equal((await az.run(`ad sp credential list --id ${appId}`)).length, 1)
    const second = (await az.run(`ad sp credential reset --id ${appId} --append`)).password
    assert.deepEqual([await isGood(first), await isGood(second)], [true, true])
    const [{ keyId }] = await az.run(`ad sp credential list --id ${appId}`)
    await az.run(`ad sp credential delete --id ${appId} --key-id ${keyId}`)
    const third = (await az.run(`ad app credential reset --id ${appId}`)).password
    assert.deepEqual([await isGood(first), await isGood(second), await isGood(third)], [false, false, true])
    assert.deepEqual(await az.run(`ad sp owner list --id ${appId}`), [])
  })

  it('app federated-credential: created, listed, deleted', async () => {
    const parameters = {
      name: 'ci',
      issuer: 'https://token.actions.githubusercontent.com',
      subject: 'repo:contoso/app:ref:refs/heads/main',
      audiences: ['api://AzureADTokenExchange'],
    }
    const on = `ad app federated-credential`
    await az.run(`${on} create --id ${appId} --parameters`, JSON.stringify(parameters))
    assert.equal((await az.run(`${on} list --id ${appId}`))[0].subject, parameters.subject)
    await az.run(`${on} delete --id ${appId} --federated-credential-id ci`)
    assert.deepEqual(await az.run(`${on} list --id ${appId}`), [])
  })

  it('user: created, found by name and by principal name, given a role by name, deleted; there are no groups', async () => {
    const name = `zoe@${domain}`
    await az.run(`ad user create --display-name Zoe --user-principal-name ${name} --password a-good-Passphrase`)
    assert.equal((await az.run('ad user list --display-name Zo')).length, 1)
    assert.equal((await az.run(`ad user list --upn ${name}`))[0].displayName, 'Zoe')
    assert.deepEqual(await az.run(`ad user get-member-groups --id ${name}`), [])
    assert.deepEqual(await az.run('ad group list'), [])
    const scope = `/subscriptions/${cloud.endpoints.subscriptionId}`
    await az.run(`role assignment create --assignee ${name} --role Reader --scope ${scope}`)
    const [held] = await az.run(`role assignment list --assignee ${name} --all`)
    assert.deepEqual([held.principalName, held.roleDefinitionName], [name, 'Reader'])
    await az.run(`ad user delete --id ${name}`)
    await assert.rejects(az.run(`ad user show --id ${name}`), /does not exist/)
  })

  it('sp create-for-rbac: an application that can log in with a role; deleted, it can not', async () => {
    const scope = `/subscriptions/${cloud.endpoints.subscriptionId}`
    const made = await az.run(`ad sp create-for-rbac --name robot --role Reader --scopes ${scope}`)
    appId = made.appId
    assert.equal(await isGood(made.password), true)
    await az.run(`ad app delete --id ${appId}`)
    assert.equal(await isGood(made.password), false)
  })
})
