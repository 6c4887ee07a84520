import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { AZ, noAz } from '../support/az-session.ts'
import { Azure } from '../support/azure.ts'
import { makeCertificate } from '../support/certificate.ts'
import { cloudFor } from '../support/cloud.ts'
import { Graph } from '../support/graph.ts'
import { Browser } from '../support/sign-in-browser.ts'

const run = promisify(execFile)

/** People sign in to the unmodified az, and it manages the directory. */
describe('az login', { concurrency: false, skip: noAz }, () => {
  const ends: (() => Promise<void>)[] = []
  let cloud: Awaited<ReturnType<typeof cloudFor>>
  let dir: string
  let env: NodeJS.ProcessEnv

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'ownkey-az-login-'))
    cloud = await cloudFor({ after: (end: () => Promise<void>) => void ends.push(end) })
    const { caCertificate, resourceManager } = cloud.endpoints
    env = {
      ...process.env,
      AZURE_CONFIG_DIR: join(dir, 'azure'),
      AZURE_CORE_COLLECT_TELEMETRY: 'false',
      AZURE_CORE_INSTANCE_DISCOVERY: 'false',
      AZURE_CORE_LOGIN_EXPERIENCE_V2: 'false',
      PYTHONPATH: fileURLToPath(new URL('../../src/http/python', import.meta.url)),
      REQUESTS_CA_BUNDLE: caCertificate,
    }
    await ask(['cloud', 'register', '--name', 'OwnKey', '--endpoint-resource-manager', resourceManager])
    await ask(['cloud', 'set', '--name', 'OwnKey'])
  })
  after(async () => {
    for (const end of ends) await end()
    await rm(dir, { recursive: true, force: true })
  })

  const ask = async (args: string[], more: NodeJS.ProcessEnv = {}): Promise<unknown> => {
    const { stdout } = await run(AZ, [...args, '--only-show-errors', '--output', 'json'], {
      env: { ...env, ...more },
      timeout: 60_000,
    })
    return stdout.trim() === '' ? undefined : JSON.parse(stdout)
  }
  const whoIs = async (): Promise<unknown> => ((await ask(['account', 'show'])) as { user: unknown }).user

  it('--use-device-code: the code is entered on the page', async () => {
    const { authority, tenantId, administrator } = cloud.endpoints
    const child = spawn(AZ, ['login', '--use-device-code', '--tenant', tenantId, '--output', 'json'], { env })
    const browser = new Browser(authority)
    let said = ''
    let entered: Promise<unknown> | undefined
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString()
      const code = / code ([B-Z]{9}) /.exec(said)?.[1]
      if (code === undefined) return
      entered ??= (async () => {
        const page = await browser.submit(await browser.go(`${authority}/devicelogin`), { code })
        const confirm = await browser.signIn(page, administrator.userName, administrator.password)
        await browser.submit(confirm, { action: 'continue' })
      })()
    })
    const [code] = (await once(child, 'exit')) as [number]
    await entered
    assert.equal(code, 0, said)
    assert.deepEqual(await whoIs(), { name: administrator.userName, type: 'user' })
    const me = (await ask(['ad', 'signed-in-user', 'show'])) as Record<string, string>
    assert.equal(me['userPrincipalName'], administrator.userName)
  })

  it('with a browser: the code is posted to the loopback address', async () => {
    const { authority, tenantId, administrator, caCertificate } = cloud.endpoints
    await ask(['logout'])
    const preload = new URL('../../src/http/localhost.mjs', import.meta.url).href
    const script = fileURLToPath(new URL('../support/sign-in.child.ts', import.meta.url))
    const browser = join(dir, 'browser.sh')
    await writeFile(
      browser,
      `#!/bin/sh\n"${process.execPath}" --import ${preload} ${script} "$1" >/dev/null 2>&1 &\n`,
      { mode: 0o700 },
    )
    await ask(['login', '--tenant', tenantId], {
      BROWSER: browser,
      DISPLAY: ':99',
      AZURE_AUTHORITY_HOST: authority,
      NODE_EXTRA_CA_CERTS: caCertificate,
      USER_NAME: administrator.userName,
      USER_PASSWORD: administrator.password,
    })
    assert.deepEqual(await whoIs(), { name: administrator.userName, type: 'user' })
  })

  it('manages people, applications and their roles', async () => {
    const { subscriptionId, administrator } = cloud.endpoints
    const scope = `/subscriptions/${subscriptionId}`
    const name = `zoe@${administrator.userName.split('@')[1]}`
    await ask([
      'ad',
      'user',
      'create',
      '--display-name',
      'Zoe',
      '--user-principal-name',
      name,
      '--password',
      'a-good-Passphrase',
    ])
    await ask(['ad', 'user', 'update', '--id', name, '--display-name', 'Zoey'])
    const found = (await ask(['ad', 'user', 'list', '--filter', "startswith(displayName,'zoe')"])) as {
      displayName: string
    }[]
    assert.deepEqual(
      found.map(({ displayName }) => displayName),
      ['Zoey'],
    )
    const role = (await ask([
      'role',
      'assignment',
      'create',
      '--assignee',
      name,
      '--role',
      'Reader',
      '--scope',
      scope,
    ])) as Record<string, string>
    assert.equal(role['principalType'], 'User')
    const made = (await ask([
      'ad',
      'sp',
      'create-for-rbac',
      '--name',
      'robot',
      '--role',
      'Reader',
      '--scopes',
      scope,
    ])) as Record<string, string>
    assert.ok(made['password'])
    const listed = (await ask(['role', 'assignment', 'list', '--all'])) as { principalName: string }[]
    assert.ok(listed.some(({ principalName }) => principalName === name))
    await ask(['ad', 'user', 'delete', '--id', name])
  })

  it('as a service principal, with a certificate', async () => {
    const { tenantId, subscriptionId } = cloud.endpoints
    const certificate = await makeCertificate('CN=az')
    const file = join(dir, 'az.pem')
    await writeFile(file, certificate.pem, { mode: 0o600 })
    const graph = await Graph.asAdministrator(cloud.endpoints)
    const { appId, principalId } = await graph.application({
      displayName: 'az',
      keyCredentials: [{ key: certificate.der }],
    })
    const scope = `/subscriptions/${subscriptionId}`
    await ask([
      'role',
      'assignment',
      'create',
      '--assignee-object-id',
      principalId,
      '--assignee-principal-type',
      'ServicePrincipal',
      '--role',
      'Reader',
      '--scope',
      scope,
    ])
    await ask(['login', '--service-principal', '--username', appId, '--certificate', file, '--tenant', tenantId])
    assert.deepEqual(await whoIs(), { name: appId, type: 'servicePrincipal' })
  })

  it('--identity: as an account, in both forms, and only where its secret is · R13', async () => {
    const { instanceMetadata, subscriptionId } = cloud.endpoints
    const azure = await Azure.in(cloud.endpoints)
    const { principalId } = await azure.account('as-itself')
    const { identityHeader } = (
      await azure.armRoot('POST', `/providers/OwnKey.Directory/identities/${principalId}/listSecret`)
    ).body
    const scope = `/subscriptions/${subscriptionId}`
    const roleDefinitionId = `${scope}/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7`
    const assignment = `${scope}/providers/Microsoft.Authorization/roleAssignments/${randomUUID()}?api-version=2022-04-01`
    const made = await azure.armRoot('PUT', assignment, { properties: { roleDefinitionId, principalId } })
    assert.equal(made.status, 201, JSON.stringify(made.body))
    for (const form of [
      { IDENTITY_ENDPOINT: `${instanceMetadata}/msi/token`, IDENTITY_HEADER: identityHeader as string },
      { AZURE_POD_IDENTITY_AUTHORITY_HOST: `${instanceMetadata}/${identityHeader}` },
    ]) {
      await ask(['account', 'clear'])
      await ask(['login', '--identity'], form)
      assert.deepEqual(await whoIs(), {
        assignedIdentityInfo: 'MSI',
        name: 'systemAssignedIdentity',
        type: 'servicePrincipal',
      })
      assert.equal(((await ask(['group', 'list'], form)) as unknown[]).length, 1)
      await ask(['login', '--identity', '--object-id', principalId], form)
      await assert.rejects(ask(['login', '--identity', '--object-id', randomUUID()], form))
    }
    const stranger = { AZURE_POD_IDENTITY_AUTHORITY_HOST: `${instanceMetadata}/${'A'.repeat(43)}` }
    await assert.rejects(ask(['login', '--identity'], stranger))
  })
})
