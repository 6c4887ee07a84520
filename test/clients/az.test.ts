import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { AzureOpenAI } from 'openai'
import { cloudFor, LEASE_SECONDS } from '../support/cloud.ts'

const run = promisify(execFile)
const cli = new URL('../../src/cli.ts', import.meta.url).pathname

/** Another az than the one on PATH: OWNKEY_AZ=/path/to/az. Debian's 2.45 lacks a module that every key command needs. */
const az = process.env['OWNKEY_AZ'] ?? 'az'
const version = await run(az, ['version', '--output', 'json']).then(
  ({ stdout }) => (JSON.parse(stdout) as { 'azure-cli': string })['azure-cli'],
  () => undefined,
)
const isRecent = version !== undefined && Number(version.split('.')[1]) >= 60
const skip = isRecent
  ? false
  : `needs the az CLI, 2.60 or newer (${version === undefined ? 'none was found' : `found ${version}`}): python3 -m venv v && v/bin/pip install azure-cli, then OWNKEY_AZ=v/bin/az`

const wait = (seconds: number) => new Promise(resolve => setTimeout(resolve, seconds * 1000))

describe('az, unmodified', { concurrency: false, skip }, () => {
  let env: NodeJS.ProcessEnv
  let endpoint: string
  let location: string
  let apiKey = ''
  let principal = ''
  const group = 'azgroup'
  const account = ['--name', 'azaccount', '--resource-group', group]
  const ends: (() => Promise<void>)[] = []

  before(async () => {
    const cloud = await cloudFor({ after: (end: () => Promise<void>) => void ends.push(end) })
    ;({ location } = cloud.endpoints)
    endpoint = `https://azaccount${cloud.endpoints.openAiSuffix}`
    const config = await mkdtemp(join(tmpdir(), 'ownkey-az-'))
    ends.push(() => rm(config, { recursive: true, force: true }))
    const quiet = { AZURE_CONFIG_DIR: config, AZURE_CORE_COLLECT_TELEMETRY: 'false', AZURE_CORE_NO_COLOR: 'true' }
    const { stdout: lines } = await run(process.execPath, [cli, 'env', '--data-dir', cloud.dataDir, '--format', 'az'])
    const login = `${lines.replaceAll(/^az /gm, `'${az}' `)}\nenv -0`
    const { stdout } = await run('bash', ['-c', login], { env: { ...process.env, ...quiet } })
    const found = stdout
      .split('\0')
      .flatMap(line => (line.includes('=') ? [line.split(/=(.*)/s, 2) as [string, string]] : []))
    env = Object.fromEntries(found)
  })
  after(() => Promise.all(ends.map(end => end())))

  /** The answer as JSON; undefined when there is none. */
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into answers freely
  async function call(...args: string[]): Promise<any> {
    try {
      const { stdout } = await run(az, [...args, '--output', 'json', '--only-show-errors'], { env, maxBuffer: 1 << 26 })
      return stdout.trim() === '' ? undefined : JSON.parse(stdout)
    } catch (error) {
      const { stderr = '' } = error as { stderr?: string }
      throw new Error(`az ${args.slice(0, 4).join(' ')}: ${stderr.slice(-1500)}`, { cause: error })
    }
  }
  const on = (...args: string[]) => call('cognitiveservices', 'account', ...args)

  it('is logged in to the subscription', async () => {
    const shown = await call('account', 'show')
    assert.deepEqual([shown.environmentName, shown.state], ['OwnKey', 'Enabled'])
    assert.ok((await call('account', 'list-locations')).some((one: { name: string }) => one.name === location))
  })

  it('az group: create, update, show, list, exists', async () => {
    await call('group', 'create', '--name', group, '--location', location)
    assert.deepEqual((await call('group', 'update', '--name', group, '--tags', 'a=b')).tags, { a: 'b' })
    assert.equal((await call('group', 'show', '--name', group.toUpperCase())).name, group)
    assert.equal((await call('group', 'list')).length, 1)
    assert.equal(await call('group', 'exists', '--name', 'none'), false)
  })

  it('az cognitiveservices account: create, show, list, keys, models, skus, usage, network rules', async () => {
    const made = await on(
      'create',
      ...account,
      '--location',
      location,
      '--kind',
      'OpenAI',
      '--sku',
      'S0',
      '--custom-domain',
      'azaccount',
      '--assign-identity',
      '--yes',
    )
    assert.equal(made.properties.provisioningState, 'Succeeded')
    principal = made.identity.principalId
    assert.equal((await on('show', ...account)).properties.encryption.keySource, 'Microsoft.CognitiveServices')
    assert.equal((await on('list', '--resource-group', group)).length, 1)
    const keys = await on('keys', 'list', ...account)
    apiKey = keys.key2
    assert.notEqual((await on('keys', 'regenerate', ...account, '--key-name', 'key1')).key1, keys.key1)
    assert.ok((await on('list-models', ...account)).length > 0)
    assert.equal((await on('list-skus', ...account)).value[0].sku.name, 'S0')
    assert.ok((await on('list-usage', ...account)).length > 0)
    assert.ok((await call('cognitiveservices', 'model', 'list', '--location', location)).length > 0)
    await on('network-rule', 'add', ...account, '--ip-address', '203.0.113.7')
    assert.equal((await on('network-rule', 'list', ...account)).ipRules.length, 1)
    await on('network-rule', 'remove', ...account, '--ip-address', '203.0.113.7')
    // az sets defaultAction to Deny with the first rule, and has no word that takes it back.
    const body = JSON.stringify({ properties: { networkAcls: { defaultAction: 'Allow' } } })
    await call('rest', '--method', 'patch', '--url', `${made.id}?api-version=2025-09-01`, '--body', body)
  })

  it('az cognitiveservices account deployment: create, show, list, delete', async () => {
    const name = ['--deployment-name', 'base']
    const model = ['--model-name', 'gpt-4o-mini', '--model-version', '1', '--model-format', 'OpenAI']
    const made = await on(
      'deployment',
      'create',
      ...account,
      ...name,
      ...model,
      '--sku-name',
      'Standard',
      '--sku-capacity',
      '2',
    )
    assert.equal(made.sku.capacity, 2)
    assert.equal((await on('deployment', 'show', ...account, ...name)).name, 'base')
    assert.equal((await on('deployment', 'list', ...account)).length, 1)
    await on('deployment', 'delete', ...account, ...name)
    assert.deepEqual(await on('deployment', 'list', ...account), [])
  })

  it('az role and az resource: assign, list, take away; list, tag, move there and back', async () => {
    const scope = (await call('group', 'show', '--name', group)).id
    const role = ['--role', 'Reader', '--scope', scope]
    await call(
      'role',
      'assignment',
      'create',
      '--assignee-object-id',
      principal,
      '--assignee-principal-type',
      'ServicePrincipal',
      ...role,
    )
    const held = await call('role', 'assignment', 'list', '--scope', scope)
    assert.deepEqual(
      held.map((one: { principalId: string }) => one.principalId),
      [principal],
    )
    assert.equal(held[0].roleDefinitionName, 'Reader')
    await call('role', 'assignment', 'delete', '--assignee', principal, ...role)
    assert.deepEqual(await call('role', 'assignment', 'list', '--scope', scope), [])
    const [{ id }] = await call('resource', 'list', '--resource-group', group)
    await call('group', 'create', '--name', 'other', '--location', location)
    await call('resource', 'move', '--destination-group', 'other', '--ids', id)
    const there = id.replace(`/${group}/`, '/other/')
    assert.deepEqual((await call('tag', 'create', '--resource-id', there, '--tags', 'z=1')).properties.tags, { z: '1' })
    await call('resource', 'move', '--destination-group', group, '--ids', there)
    assert.equal((await call('resource', 'show', '--ids', id)).tags.z, '1')
    await call('group', 'delete', '--name', 'other', '--yes')
  })

  it("the article's steps: vault, key, policy, customer-managed key; delete-policy revokes the download, and set-policy gives it back · R05 R11 R15 R19 R22", async () => {
    const vault = ['--name', 'azvault']
    const inVault = ['--vault-name', 'azvault', '--name', 'at-rest']
    await call(
      'keyvault',
      'create',
      ...vault,
      '--resource-group',
      group,
      '--location',
      location,
      '--enable-rbac-authorization',
      'false',
      '--enable-purge-protection',
      'true',
    )
    const { appId } = await call('account', 'show').then(({ user }) => ({ appId: user.name }))
    await call('keyvault', 'set-policy', ...vault, '--spn', appId, '--key-permissions', 'all')
    const grant = () =>
      call(
        'keyvault',
        'set-policy',
        ...vault,
        '--object-id',
        principal,
        '--key-permissions',
        'get',
        'wrapKey',
        'unwrapKey',
      )
    await grant()
    const { key } = await call('keyvault', 'key', 'create', ...inVault, '--kty', 'RSA', '--size', '2048')
    assert.equal((await call('keyvault', 'key', 'list-versions', ...inVault)).length, 1)
    const keyVaultProperties = {
      keyVaultUri: `${new URL(key.kid).origin}/`,
      keyName: 'at-rest',
      keyVersion: key.kid.split('/').at(-1),
    }
    const update = (encryption: object) => on('update', ...account, '--encryption', JSON.stringify(encryption))
    await update({ keySource: 'Microsoft.KeyVault', keyVaultProperties })
    assert.equal((await on('show', ...account)).properties.encryption.keySource, 'Microsoft.KeyVault')
    const client = new AzureOpenAI({ endpoint, apiKey, apiVersion: '2024-10-21', maxRetries: 0 })
    const text = Array.from(
      { length: 12 },
      () => '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}',
    ).join('\n')
    const file = await client.files.create({ file: new File([text], 'a.jsonl'), purpose: 'fine-tune' })
    const download = async () => (await client.files.content(file.id)).text()
    assert.equal(await download(), text)
    await call('keyvault', 'delete-policy', ...vault, '--object-id', principal)
    await wait(LEASE_SECONDS + 0.3)
    await assert.rejects(download(), { status: 403 })
    await grant()
    await wait(LEASE_SECONDS + 0.3)
    assert.equal(await download(), text)
    await call('keyvault', 'key', 'delete', ...inVault)
    await wait(LEASE_SECONDS + 0.3)
    await assert.rejects(download(), { status: 403 })
    await call('keyvault', 'key', 'recover', ...inVault)
    await wait(LEASE_SECONDS + 0.3)
    assert.equal(await download(), text)
    await update({ keySource: 'Microsoft.CognitiveServices' })
  })

  it('az cognitiveservices account: delete, list-deleted, recover, purge; az group delete takes the rest along', async () => {
    const place = [...account, '--location', location]
    await on('delete', ...account)
    assert.equal((await on('list-deleted')).length, 1)
    assert.equal((await on('show-deleted', ...place)).name, 'azaccount')
    await on('recover', ...place)
    assert.equal((await on('show', ...account)).name, 'azaccount')
    await on('delete', ...account)
    await on('purge', ...place)
    assert.deepEqual(await on('list-deleted'), [])
    await call('group', 'delete', '--name', group, '--yes')
    assert.deepEqual(
      (await call('keyvault', 'list-deleted')).map((one: { name: string }) => one.name),
      ['azvault'],
    )
    assert.deepEqual(await call('group', 'list'), [])
  })
})
