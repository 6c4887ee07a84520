import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Azure, refusal, untilAllowed, untilRefused } from '../support/azure.ts'
import { cloudFor, LEASE_SECONDS } from '../support/cloud.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('personal', 'None')
const keys = await azure.vault('kv-identity')
const version = (await keys.createRsaKey('cmk', { keySize: 2048 })).properties.version
const cmk = { vault: 'kv-identity', name: 'cmk', version }
const file = await account.upload('readable while somebody is there to ask for the key')

interface ServicePrincipal {
  readonly id: string
  readonly displayName: string
  readonly servicePrincipalType: string
  readonly alternativeNames: string[]
}

/** The principals that the directory finds by a resource's name, as the portal searches for them. */
async function inDirectory(name: string): Promise<ServicePrincipal[]> {
  const { authority, resourceManager } = azure.endpoints
  const token = await azure.credential.getToken(`${resourceManager}/.default`)
  const filter = encodeURIComponent(`displayName eq '${name}'`)
  const response = await fetch(`${authority}/v1.0/servicePrincipals?$filter=${filter}`, {
    headers: { authorization: `Bearer ${token?.token ?? ''}` },
  })
  return ((await response.json()) as { value: ServicePrincipal[] }).value
}

/** Codes of the warnings in the last answer. */
let warned: string[] = []
const identity = async (type: string): Promise<{ type: string; principalId?: string; tenantId?: string }> => {
  const { status, body } = await account.patch({ identity: { type } })
  assert.equal(status, 200, JSON.stringify(body))
  warned = (body.properties.encryption.warnings ?? []).map(({ code }: { code: string }) => code)
  return body.identity
}

test('R13: an account without an identity has no principal; turned on, the directory finds it by the name of the resource', async () => {
  assert.deepEqual(await inDirectory('personal'), [])
  const on = await identity('SystemAssigned')
  assert.equal(on.tenantId, azure.endpoints.tenantId)
  const [principal, ...others] = await inDirectory('personal')
  assert.deepEqual(others, [])
  assert.equal(principal?.id, on.principalId)
  assert.equal(principal?.servicePrincipalType, 'ManagedIdentity')
  assert.match(principal.alternativeNames.join(' '), /accounts\/personal$/)
})

test('R13: turned on once more it stays the same principal', async () => {
  const [principal] = await inDirectory('personal')
  assert.equal((await identity('systemassigned')).principalId, principal?.id)
})

test('R13: only a system-assigned identity is accepted', async () => {
  for (const type of ['UserAssigned', 'SystemAssigned, UserAssigned', 'Everyone']) {
    const refused = await refusal(() => account.patch({ identity: { type } }))
    assert.deepEqual([refused?.status, refused?.code], [400, 'InvalidIdentityType'], type)
  }
})

test('R13, R11: a new principal has no access to any vault until somebody grants it', async () => {
  const refused = await account.encrypt(cmk)
  assert.equal(refused.status, 400)
  const codes = refused.body.error.details.map(({ code }: { code: string }) => code)
  assert.deepEqual(new Set(codes), new Set(['R11.PermissionMissing']))
  const [principal] = await inDirectory('personal')
  await azure.policy('kv-identity', 'add', principal?.id ?? '')
  assert.equal((await account.encrypt(cmk)).status, 200)
  assert.match((await account.download(file)).toString(), /readable while/)
})

test('R31: turned off, the data is out of reach at once, features that need it stop, and a deployment goes on', async () => {
  const job = await account.jobIs(await account.train(file), ['succeeded'])
  const model = job.fine_tuned_model ?? ''
  assert.equal((await account.deploy('goes-on', model)).status, 201)
  const running = await account.train(file, { hyperparameters: { n_epochs: 60, batch_size: 2 } })
  await account.jobIs(running, ['running'])
  assert.deepEqual(await identity('None'), { type: 'None' })
  assert.deepEqual(warned, ['IdentityOff'])
  assert.deepEqual(await inDirectory('personal'), [])
  const refused = {
    download: await refusal(() => account.download(file)),
    results: await refusal(() => account.download(job.result_files[0] ?? '')),
    upload: await refusal(() => account.upload('more')),
    job: await refusal(() => account.train(file)),
    deployment: await refusal(() => account.deploy('another', model)),
    'another key': await refusal(() => account.encrypt({ ...cmk, name: 'other' })),
    'service-managed keys': await refusal(() => account.encrypt()),
  }
  for (const [what, answer] of Object.entries(refused)) {
    const isChange = what === 'another key'
    assert.deepEqual(
      [answer?.status, answer?.code],
      isChange ? [400, 'CustomerManagedKeyRequirementsNotMet'] : [403, 'CustomerManagedKeyUnavailable'],
      what,
    )
    assert.match(answer?.message ?? '', isChange ? /R11\.IdentityOff/ : /\(IdentityMissing\).*identity on/, what)
  }
  const started = performance.now()
  await account.jobIs(running, ['paused'])
  assert.ok(performance.now() - started < (LEASE_SECONDS + 3) * 1000)
  assert.notEqual(await account.chat('goes-on'), '')
  assert.equal((await account.openai.files.retrieve(file)).id, file)
})

test('R31: across a restart too; on again it is another principal, to which access must be granted anew', async () => {
  await cloud.restart()
  assert.equal((await refusal(() => account.download(file)))?.status, 403)
  const before = (await azure.arm('GET', azure.vaultPath('kv-identity'), undefined, '2023-07-01')).body
  const granted = before.properties.accessPolicies.map(({ objectId }: { objectId: string }) => objectId)
  const { principalId = '' } = await identity('SystemAssigned')
  assert.deepEqual(warned, ['IdentityWithoutAccess'])
  assert.equal(granted.includes(principalId), false)
  const refused = await untilRefused(() => account.download(file))
  assert.match(refused.message, /\(AccessDenied\)/)
  await azure.policy('kv-identity', 'add', principalId)
  await untilAllowed(() => account.download(file))
  assert.match((await account.download(file)).toString(), /readable while/)
})

test('R31, R04: an account under service-managed keys needs no identity', async () => {
  const plain = await azure.account('plain')
  const own = await plain.upload('needs nobody')
  assert.equal((await plain.patch({ identity: { type: 'None' } })).status, 200)
  assert.match((await plain.download(own)).toString(), /needs nobody/)
})
