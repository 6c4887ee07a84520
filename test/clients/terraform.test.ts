import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { openAiClient } from '../../src/demo/azure-client.ts'
import { Azure, KEY_PERMISSIONS, TestAccount, untilAllowed, untilRefused } from '../support/azure.ts'
import { cloudFor, type TestCloud } from '../support/cloud.ts'
import { openLocalhostProxy } from '../support/localhost-proxy.ts'
import { officialClients } from '../support/official-clients.ts'

const run = promisify(execFile)
const dir = await mkdtemp(join(tmpdir(), 'ownkey-terraform-'))
await cp(new URL('../../examples/terraform/azapi', import.meta.url), dir, { recursive: true })
after(() => rm(dir, { recursive: true, force: true }))

/** A provider that was built or downloaded before, where no registry can be reached: OWNKEY_AZAPI=/path/to/terraform-provider-azapi. */
const provider = process.env['OWNKEY_AZAPI']
const shared = { ...process.env, CHECKPOINT_DISABLE: '1', TF_IN_AUTOMATION: '1', TF_INPUT: '0' }
const skip = await prepare()

/** For `{ skip }`: why Terraform can't be run here. */
async function prepare(): Promise<string | false> {
  const config = join(dir, 'terraformrc')
  const override = `provider_installation {\n  dev_overrides {\n    "Azure/azapi" = "${dirname(provider ?? '')}"\n  }\n  direct {}\n}\n`
  await writeFile(config, provider === undefined ? '' : override)
  Object.assign(shared, { TF_CLI_CONFIG_FILE: config })
  const command = provider === undefined ? ['init', '-input=false'] : ['version']
  return run('terraform', command, { cwd: dir, env: shared, timeout: 120_000 }).then(
    () => false as const,
    () =>
      'Terraform with the azapi provider: terraform on PATH, and its registry or OWNKEY_AZAPI=/path/to/terraform-provider-azapi',
  )
}

describe('Terraform with azapi, unmodified: examples/terraform/azapi', { concurrency: false, skip }, () => {
  const ends: (() => Promise<void>)[] = []
  let cloud: TestCloud
  let azure: Azure
  let account: TestAccount
  let fileId: string
  let env: NodeJS.ProcessEnv

  before(async () => {
    cloud = await cloudFor({ after: (end: () => Promise<void>) => void ends.push(end) })
    const proxy = await openLocalhostProxy()
    ends.push(() => proxy.close())
    azure = new Azure(cloud.endpoints)
    const { authority, resourceManager, tenantId, subscriptionId, administrator, caCertificate } = cloud.endpoints
    env = {
      ...shared,
      HTTPS_PROXY: proxy.url,
      SSL_CERT_FILE: caCertificate,
      ARM_ACTIVE_DIRECTORY_AUTHORITY_HOST: authority,
      ARM_RESOURCE_MANAGER_ENDPOINT: resourceManager,
      ARM_RESOURCE_MANAGER_AUDIENCE: resourceManager,
      ARM_DISABLE_INSTANCE_DISCOVERY: 'true',
      ARM_TENANT_ID: tenantId,
      ARM_SUBSCRIPTION_ID: subscriptionId,
      ARM_CLIENT_ID: administrator.clientId,
      ARM_CLIENT_SECRET: administrator.clientSecret,
      ARM_USE_CLI: 'false',
    }
  })
  after(() => Promise.all(ends.map(end => end())))

  const terraform = async (command: string, ...more: string[]): Promise<string> => {
    const args = [...command.split(' '), '-no-color', ...more]
    return run('terraform', args, { cwd: dir, env, timeout: 120_000, maxBuffer: 1 << 26 }).then(
      ({ stdout }) => stdout,
      (error: { stdout?: string; stderr?: string }) => assert.fail(`${error.stdout ?? ''}${error.stderr ?? ''}`),
    )
  }
  const variables = (more: Readonly<Record<string, string>> = {}): string[] =>
    Object.entries({ name: 'tfstory', ...more }).flatMap(([name, value]) => ['-var', `${name}=${value}`])
  const apply = (more?: Readonly<Record<string, string>>) => terraform('apply -auto-approve', ...variables(more))
  const output = async (name: string): Promise<string> => (await terraform(`output -raw ${name}`)).trim()

  it('apply: a group, an account, a vault and its policies; then there is nothing left to change · R03 R04', async () => {
    assert.match(await apply(), /4 added, 0 changed, 0 destroyed/)
    assert.equal(await output('key_source'), 'Microsoft.CognitiveServices')
    assert.equal(await output('endpoint'), `https://tfstory${cloud.endpoints.openAiSuffix}/`)
    assert.match(await terraform('plan -detailed-exitcode', ...variables()), /No changes/)
  })

  it('change: tags in place, and the account goes under the customer`s key · R15', async () => {
    const { cognitive, keysOf, keyVaults } = officialClients(cloud.endpoints)
    await keysOf('kv-tfstory').createRsaKey('at-rest', { keySize: 2048 })
    const change = { key_name: 'at-rest', tags: '{ team = "a" }' }
    assert.match(await apply(change), /0 added, 4 changed, 0 destroyed/)
    assert.equal(await output('key_source'), 'Microsoft.KeyVault')
    assert.match(await terraform('plan -detailed-exitcode', ...variables(change)), /No changes/)
    const { identity, tags } = await cognitive.accounts.get('tfstory', 'tfstory')
    assert.deepEqual(tags, { team: 'a' })
    const { properties } = await keyVaults.vaults.get('tfstory', 'kv-tfstory')
    const policy = properties.accessPolicies?.find(({ objectId }) => objectId === identity?.principalId)
    assert.deepEqual(policy?.permissions.keys?.toSorted(), KEY_PERMISSIONS.toSorted())
    const { key1 = '' } = await cognitive.accounts.listKeys('tfstory', 'tfstory')
    const openai = openAiClient(cloud.endpoints, 'tfstory', key1)
    account = new TestAccount(azure, 'tfstory', identity?.principalId ?? '', openai)
    fileId = await account.upload('by terraform')
    assert.match((await account.download(fileId)).toString(), /by terraform/)
  })

  it('change: a policy that is taken out of the configuration revokes, put back it restores · R19 R22', async () => {
    const file = join(dir, 'main.tf')
    const text = await readFile(file, 'utf8')
    const revoked = text.replace('["get", "wrapKey", "unwrapKey"]', '["get"]')
    assert.notEqual(revoked, text)
    const change = { key_name: 'at-rest', tags: '{ team = "a" }' }
    await writeFile(file, revoked)
    await apply(change)
    assert.equal((await untilRefused(() => account.download(fileId))).status, 403)
    await writeFile(file, text)
    await apply(change)
    await untilAllowed(() => account.download(fileId))
    await apply()
    assert.equal(await output('key_source'), 'Microsoft.CognitiveServices')
    await account.download(fileId)
  })

  it('destroy: everything goes; the vault, protected against purging, is kept as deleted · R08', async () => {
    assert.match(await terraform('destroy -auto-approve', ...variables()), /4 destroyed/)
    const { keyVaults, cognitive } = officialClients(cloud.endpoints)
    const kept: (string | undefined)[] = []
    for await (const { name } of keyVaults.vaults.listDeleted()) kept.push(name)
    assert.deepEqual(kept, ['kv-tfstory'])
    await assert.rejects(cognitive.accounts.get('tfstory', 'tfstory'), { statusCode: 404 })
  })
})
