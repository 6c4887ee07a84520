import assert from 'node:assert/strict'
import { access, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { CognitiveServicesManagementClient } from '@azure/arm-cognitiveservices'
import { KeyVaultManagementClient } from '@azure/arm-keyvault'
import { ClientSecretCredential, type TokenCredential } from '@azure/identity'
import { KeyClient } from '@azure/keyvault-keys'
import { AzureOpenAI } from 'openai'
import { auditRecords, ownkey } from '../audit/ownkey.fixture.ts'
import { startCloudProcess } from '../../src/harness/cloud-process.ts'
import { cloudFor } from '../support/cloud.ts'
import { tokenRequest } from '../support/graph.ts'
import type { Endpoints } from '../../src/base/endpoints.ts'

const EXAMPLE = fileURLToPath(new URL('../../examples/seed.yaml', import.meta.url))
const GROUP = 'rg-contoso'

interface Secrets {
  readonly tenants: Record<string, { tenantId: string; clientId: string; clientSecret: string }>
  readonly applications: Record<string, { tenantId: string; clientId: string; clientSecret: string }>
  readonly users: Record<string, { password: string }>
}

async function file(t: TestContext, text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ownkey-seed-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  await writeFile(join(folder, 'cloud.yaml'), text)
  return join(folder, 'cloud.yaml')
}

/** The output of the last start about its seed. */
async function said(dataDir: string): Promise<string> {
  return (await readFile(join(dataDir, 'service.log'), 'utf8')).match(/^Seed [^]*?(?=^OwnKey)/gm)?.at(-1) ?? ''
}

function credential({ authority }: Endpoints, client: Secrets['tenants'][string]): ClientSecretCredential {
  return new ClientSecretCredential(client.tenantId, client.clientId, client.clientSecret, {
    authorityHost: authority,
    disableInstanceDiscovery: true,
  })
}

function clients({ resourceManager, subscriptionId, keyVaultSuffix, openAiSuffix }: Endpoints, as: TokenCredential) {
  const managed = { endpoint: resourceManager, credentialScopes: [`${resourceManager}/.default`] }
  return {
    accounts: new CognitiveServicesManagementClient(as, subscriptionId, managed),
    vaults: new KeyVaultManagementClient(as, subscriptionId, managed),
    keys: (vault: string) =>
      new KeyClient(`https://${vault}${keyVaultSuffix}`, as, { disableChallengeResourceVerification: true }),
    openai: (account: string, auth: { apiKey: string } | { azureADTokenProvider: () => Promise<string> }) =>
      new AzureOpenAI({ endpoint: `https://${account}${openAiSuffix}`, apiVersion: '2024-10-21', ...auth }),
  }
}

async function gathered<T>(list: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const one of list) found.push(one)
  return found
}

test('a cloud starts with everything that the example says', async t => {
  const cloud = await cloudFor(t, ['--allow-ropc', '--seed', EXAMPLE])
  const { endpoints, dataDir } = cloud
  const administrator = clients(
    endpoints,
    credential(endpoints, { tenantId: endpoints.tenantId, ...endpoints.administrator }),
  )
  const secretsFile = join(dataDir, 'seed-secrets.json')
  assert.equal((await stat(secretsFile)).mode & 0o777, 0o600)
  const secrets = JSON.parse(await readFile(secretsFile, 'utf8')) as Secrets

  await t.test(
    'the vault with its policies, firewall and protection; the key with its versions and rotation policy',
    async () => {
      const { properties, tags } = await administrator.vaults.vaults.get(GROUP, 'kv-contoso')
      assert.equal(properties.enablePurgeProtection, true)
      assert.equal(properties.networkAcls?.defaultAction, 'Deny')
      assert.equal(properties.accessPolicies?.length, 4)
      assert.deepEqual(tags, {})
      const keys = administrator.keys('kv-contoso')
      assert.equal((await gathered(keys.listPropertiesOfKeyVersions('at-rest'))).length, 2)
      const policy = await keys.getKeyRotationPolicy('at-rest')
      assert.deepEqual(
        policy.lifetimeActions?.map(({ action, timeAfterCreate }) => [action, timeAfterCreate]),
        [
          ['Rotate', 'P90D'],
          ['Notify', undefined],
        ],
      )
      assert.equal((await administrator.keys('kv-signing').getKey('releases')).keyType, 'EC')
    },
  )

  await t.test("the account under the customer's key, with a deployment that answers · R15", async () => {
    const account = await administrator.accounts.accounts.get(GROUP, 'contoso')
    assert.equal(account.properties?.encryption?.keySource, 'Microsoft.KeyVault')
    assert.equal(account.properties?.encryption?.keyVaultProperties?.keyName, 'at-rest')
    const { key1 = '' } = await administrator.accounts.accounts.listKeys(GROUP, 'contoso')
    const answer = await administrator.openai('contoso', { apiKey: key1 }).chat.completions.create({
      model: 'chat',
      messages: [{ role: 'user', content: 'Hello' }],
      max_tokens: 8,
    })
    assert.ok((answer.choices[0]?.message.content ?? '').length > 0)
  })

  await t.test(
    'applications act with the secrets of seed-secrets.json and have the roles of the file, no others',
    async () => {
      const pipeline = secrets.applications[`${endpoints.tenantId}/training-pipeline`]
      assert.ok(pipeline)
      assert.deepEqual(Object.keys(secrets.applications), [`${endpoints.tenantId}/training-pipeline`])
      const own = credential(endpoints, pipeline)
      const azureADTokenProvider = async (): Promise<string> =>
        (await own.getToken('https://cognitiveservices.azure.com/.default')).token
      const mine = clients(endpoints, own)
      assert.deepEqual((await mine.openai('contoso', { azureADTokenProvider }).files.list()).data, [])
      await assert.rejects(mine.openai('contoso-keyless', { azureADTokenProvider }).files.list(), { status: 401 })
      const signed = await mine.keys('kv-signing').getCryptographyClient('releases').signData('ES256', Buffer.from('x'))
      assert.ok(signed.result.length > 0)
      await assert.rejects(mine.keys('kv-contoso').getKey('at-rest'), { statusCode: 403 })
    },
  )

  await t.test('people sign in, and another tenant has what the file gives it', async () => {
    const signIn = (username: string, tenant: string) =>
      tokenRequest(
        endpoints,
        {
          grant_type: 'password',
          client_id: '04b07795-8ddb-461a-bbee-02f9e1bf7b46',
          username,
          password: secrets.users[username]?.password ?? '',
          scope: 'https://vault.azure.net/.default',
        },
        { tenant },
      )
    const fabrikam = secrets.tenants['Fabrikam']
    assert.ok(fabrikam)
    const ada = await signIn('ada@ownkey.localhost', endpoints.tenantId)
    assert.equal(ada.status, 200, JSON.stringify(ada.body))
    assert.equal((await signIn('grace@fabrikam.localhost', fabrikam.tenantId)).status, 200)
    const token = await credential(endpoints, fabrikam).getToken(`${endpoints.resourceManager}/.default`)
    const answer = await fetch(`${endpoints.resourceManager}/subscriptions?api-version=2022-12-01`, {
      headers: { authorization: `Bearer ${token.token}` },
    })
    const { value } = (await answer.json()) as { value: { displayName: string }[] }
    assert.deepEqual(
      value.map(({ displayName }) => displayName),
      ['Fabrikam production'],
    )
  })

  await t.test('starting again with the same file changes nothing', async () => {
    assert.match(await said(dataDir), /^Seed .*: 21 made, 1 changed, 1 as they were\.\n/)
    const before = (await auditRecords(dataDir)).length
    await cloud.restart()
    assert.match(await said(dataDir), /^Seed .*: 0 made, 0 changed, 23 as they were\.\n/)
    assert.deepEqual(JSON.parse(await readFile(secretsFile, 'utf8')), secrets)
    const since = (await auditRecords(dataDir)).slice(before).map(({ operationName }) => operationName)
    const isChange = (name: string): boolean => /create|put|patch|update|write|add|set$/i.test(name)
    assert.deepEqual(since.filter(isChange), [])
  })
})

const SMALL = `subscriptions:
  - displayName: OwnKey
    resourceGroups:
      - name: g
        tags: { team: red }
        vaults:
          - name: kv-seed-one
            enablePurgeProtection: true
            accessPolicies:
              - identity: one
                keys: [get, wrapKey, unwrapKey]
            keys:
              - name: k
        accounts:
          - name: one
            identity: { type: SystemAssigned }
            encryption: { vault: kv-seed-one, key: k, keyVersion: newest }
            deployments:
              - { name: chat, model: gpt-4o-mini-2024-07-18 }
`

test('a changed seed file changes what it says, and deletes nothing', async t => {
  const path = await file(t, SMALL)
  const cloud = await cloudFor(t, ['--seed', path])
  const { endpoints, dataDir } = cloud
  const administrator = clients(
    endpoints,
    credential(endpoints, { tenantId: endpoints.tenantId, ...endpoints.administrator }),
  )
  const versionOf = async (): Promise<string | undefined> =>
    (await administrator.accounts.accounts.get('g', 'one')).properties?.encryption?.keyVaultProperties?.keyVersion
  const first = await versionOf()
  assert.match(first ?? '', /^[0-9a-f]{32}$/)
  await writeFile(
    path,
    SMALL.replace('team: red', 'team: blue')
      .replace('- name: k\n', '- { name: k, versions: 2, tags: { use: rest } }\n')
      .replace(/ +deployments:\n.*\n/, '')
      .replace('identity: { type', 'disableLocalAuth: true\n            identity: { type'),
  )
  await cloud.restart()
  assert.match(
    await said(dataDir),
    /: 0 made, 4 changed, 2 as they were\.\n {2}changed group g \(tags\)\n {2}changed account one \(disableLocalAuth\)\n {2}changed key k of vault kv-seed-one \(versions, tags\)\n {2}changed encryption of account one/,
  )
  // R16: the newest version, which the file asked for.
  assert.notEqual(await versionOf(), first)
  assert.equal((await gathered(administrator.accounts.deployments.list('g', 'one'))).length, 1)
  assert.equal((await administrator.accounts.accounts.get('g', 'one')).properties?.disableLocalAuth, true)
  await cloud.restart()
  assert.match(await said(dataDir), /: 0 made, 0 changed, 6 as they were\./)
})

test('with a wrong seed file nothing is made, not even the folder', async t => {
  const path = await file(
    t,
    SMALL.replace('name: kv-seed-one', 'nam: kv-seed-one').replace('keys: [get, wrapKey', 'keys: [fetch, wrapKey'),
  )
  const dataDir = join(path, '../none')
  const { code, errors } = await ownkey('start', '--data-dir', dataDir, '--port', '0', '--seed', path)
  assert.equal(code, 1)
  assert.match(errors, /^ownkey: There are 4 problems with the seed file; nothing was made\.\n/)
  assert.ok(
    errors.includes(
      `${path}:7: subscriptions[0].resourceGroups[0].vaults[0].nam: there is no such field here; did you mean name?\n`,
    ),
  )
  await assert.rejects(access(dataDir))
  const lost = await ownkey('start', '--data-dir', dataDir, '--port', '0', '--seed', join(path, '../none.yaml'))
  assert.match(lost.errors, /none\.yaml/)
})

test("what the cloud refuses is told with its line and the cloud's own message · R10", async t => {
  const path = await file(
    t,
    SMALL.replace('enablePurgeProtection: true', 'enableRbacAuthorization: true').replace(
      / +accessPolicies:\n.*\n.*\n/,
      '',
    ),
  )
  const dataDir = join(path, '../cloud')
  const { code, errors } = await ownkey('start', '--data-dir', dataDir, '--port', '0', '--seed', path)
  assert.equal(code, 1)
  const line = SMALL.split('\n').findIndex(text => text.includes('encryption:')) - 2
  assert.ok(
    errors.startsWith(
      `ownkey: ${path}:${line}: subscriptions[0].resourceGroups[0].accounts[0].encryption: encryption of account one failed: `,
    ),
    errors,
  )
  assert.match(errors, /legacy access policies|enable-rbac-authorization/)
  assert.match(
    errors,
    /What comes before it was made and stays\. Change the file, or the cloud \(start\s+without --seed\), then start again\.\n$/,
  )
  await assert.rejects(access(join(dataDir, 'endpoints.json')))
  await writeFile(
    path,
    SMALL.replace(
      'enablePurgeProtection: true',
      'enablePurgeProtection: true\n            enableRbacAuthorization: false',
    ),
  )
  const fixed = await startCloudProcess(dataDir, ['--seed', path])
  t.after(async () => void (await fixed.stop()))
  assert.match(await said(dataDir), /: 1 made, 2 changed, 4 as they were\./)
})

test('subscriptions whose names differ only in letters that no alias can have are two', async t => {
  const names = ['開発', '本番', 'Dev 1', 'dev-1']
  const seed = await file(t, `subscriptions:\n${names.map(name => `  - displayName: ${name}\n`).join('')}`)
  const { endpoints } = await cloudFor(t, ['--seed', seed])
  const { resourceManager, tenantId, administrator } = endpoints
  const token = await credential(endpoints, { tenantId, ...administrator }).getToken(`${resourceManager}/.default`)
  const response = await fetch(`${resourceManager}/subscriptions?api-version=2022-12-01`, {
    headers: { authorization: `Bearer ${token.token}` },
  })
  const { value } = (await response.json()) as { value: { displayName: string }[] }
  const made = value.map(({ displayName }) => displayName).filter(name => names.includes(name))
  assert.deepEqual(made.toSorted(), names.toSorted())
})
