import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { getFips } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import {
  ClientAssertionCredential,
  ClientCertificateCredential,
  ClientSecretCredential,
  DeviceCodeCredential,
  UsernamePasswordCredential,
  WorkloadIdentityCredential,
} from '@azure/identity'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { Azure } from '../support/azure.ts'
import { Browser } from '../support/sign-in-browser.ts'
import { makeCertificate } from '../support/certificate.ts'
import { cloudFor } from '../support/cloud.ts'
import { Graph, ownToken } from '../support/graph.ts'

const run = promisify(execFile)
const AZURE_CLI = '04b07795-8ddb-461a-bbee-02f9e1bf7b46'
const VAULT = 'https://vault.azure.net/.default'
const EXCHANGE = 'api://AzureADTokenExchange'
const root = fileURLToPath(new URL('../..', import.meta.url))
const preload = new URL('../../src/http/localhost.mjs', import.meta.url).href
const cloud = await cloudFor({ after }, ['--allow-ropc'])
const { endpoints } = cloud
const { authority: authorityHost, tenantId, administrator } = endpoints
const options = { authorityHost, disableInstanceDiscovery: true }

/** Microsoft's own credentials, unmodified. */
describe('@azure/identity against a whole cloud', () => {
  let dir: string
  let graph: Graph
  const keys = createRemoteJWKSet(new URL(`${authorityHost}/${tenantId}/discovery/v2.0/keys`))
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'ownkey-credentials-'))
    graph = await Graph.asAdministrator(endpoints)
  })
  after(async () => rm(dir, { recursive: true }))

  /** The claims as a resource sees them, verified with the published keys alone. */
  async function claimsOf(token: string, audience = 'https://vault.azure.net'): Promise<Record<string, unknown>> {
    const issuer = `https://sts.windows.net/${tenantId}/`
    return (await jwtVerify(token, keys, { issuer, audience, algorithms: ['RS256'] })).payload
  }

  it('ClientSecretCredential: with a secret of Graph`s addPassword, until removePassword', async () => {
    const { id, appId, principalId } = await graph.application({ displayName: 'by secret' })
    const added = await graph.get<Record<string, string>>('POST', `/applications/${id}/addPassword`, {
      passwordCredential: { displayName: 'ci' },
    })
    const credential = () => new ClientSecretCredential(tenantId, appId, added['secretText'] ?? '', options)
    const claims = await claimsOf((await credential().getToken(VAULT)).token)
    assert.deepEqual(
      [claims['oid'], claims['appid'], claims['appidacr'], claims['idtyp'], claims['ver']],
      [principalId, appId, '1', 'app', '1.0'],
    )
    const shown = JSON.stringify(await graph.get('GET', `/applications/${id}`))
    assert.ok(!shown.includes(added['secretText'] ?? '-') && shown.includes(added['keyId'] ?? '-'), 'shown once only')
    await graph.get('POST', `/applications/${id}/removePassword`, { keyId: added['keyId'] })
    await assert.rejects(credential().getToken(VAULT), /AADSTS7000215/)
  })

  const skip = getFips() === 1 && 'how the client library names its digest, no FIPS provider knows'
  it('ClientCertificateCredential: with x5t#S256, and with x5t under adfs', { skip }, async () => {
    const certificate = await makeCertificate('CN=client')
    const file = join(dir, 'client.pem')
    await writeFile(file, certificate.pem)
    const { appId, principalId } = await graph.application({
      displayName: 'by certificate',
      keyCredentials: [{ displayName: 'one', type: 'AsymmetricX509Cert', usage: 'Verify', key: certificate.der }],
    })
    for (const tenant of [tenantId, 'adfs']) {
      const { token } = await new ClientCertificateCredential(tenant, appId, file, options).getToken(VAULT)
      const claims = await claimsOf(token)
      assert.deepEqual([claims['oid'], claims['appidacr']], [principalId, '2'], tenant)
    }
    await writeFile(file, (await makeCertificate('CN=client')).pem)
    const stranger = new ClientCertificateCredential(tenantId, appId, file, options)
    await assert.rejects(stranger.getToken(VAULT), /AADSTS700027/)
  })

  it('ClientAssertionCredential: a token of this cloud replaces a secret where issuer, subject and audience fit', async () => {
    const { id, appId, principalId } = await graph.application({ displayName: 'federated' })
    const subject = JSON.parse(
      Buffer.from(
        (await ownToken(endpoints, administrator, `${EXCHANGE}/.default`)).split('.')[1] ?? '',
        'base64url',
      ).toString(),
    ) as { sub: string }
    const credential = new ClientAssertionCredential(
      tenantId,
      appId,
      async () => ownToken(endpoints, administrator, `${EXCHANGE}/.default`),
      options,
    )
    await assert.rejects(credential.getToken(VAULT), /AADSTS70021/)
    const path = `/applications/${id}/federatedIdentityCredentials`
    const body = {
      name: 'own',
      issuer: `https://sts.windows.net/${tenantId}/`,
      subject: subject.sub,
      audiences: [EXCHANGE],
    }
    await graph.get('POST', path, body)
    assert.equal((await graph.ask('POST', path, { ...body, name: 'again' })).status, 409)
    assert.equal((await claimsOf((await credential.getToken(VAULT)).token))['oid'], principalId)
    const tokenFilePath = join(dir, 'token')
    await writeFile(tokenFilePath, await ownToken(endpoints, administrator, `${EXCHANGE}/.default`))
    const workload = new WorkloadIdentityCredential({ ...options, tenantId, clientId: appId, tokenFilePath })
    assert.equal((await claimsOf((await workload.getToken(VAULT)).token))['oid'], principalId)
    await graph.get('DELETE', `${path}/own`)
    const late = new ClientAssertionCredential(
      tenantId,
      appId,
      async () => ownToken(endpoints, administrator, `${EXCHANGE}/.default`),
      options,
    )
    await assert.rejects(late.getToken(VAULT), /AADSTS70021/)
  })

  it('UsernamePasswordCredential: where the cloud was started with --allow-ropc', async () => {
    const { userName, password } = administrator
    const credential = new UsernamePasswordCredential(tenantId, AZURE_CLI, userName, password, options)
    const claims = await claimsOf((await credential.getToken(VAULT)).token)
    assert.deepEqual([claims['upn'], claims['scp'], claims['appidacr']], [userName, 'user_impersonation', '0'])
    const wrong = new UsernamePasswordCredential(tenantId, AZURE_CLI, userName, 'wrong', options)
    await assert.rejects(wrong.getToken(VAULT), /AADSTS50126/)
  })

  it('DeviceCodeCredential: somebody enters the code, signs in and agrees; the next token needs nobody', async () => {
    const browser = new Browser(authorityHost)
    let entered = 0
    const credential = new DeviceCodeCredential({
      ...options,
      tenantId,
      userPromptCallback: ({ userCode, verificationUri, message }) => {
        assert.ok(message.includes(userCode) && message.includes(verificationUri))
        entered += 1
        void (async () => {
          const asked = await browser.submit(await browser.go(verificationUri), { code: userCode.toLowerCase() })
          const confirm = await browser.signIn(asked, administrator.userName, administrator.password)
          assert.match(confirm.html, /Are you trying to sign in to Azure CLI\?/)
          const done = await browser.submit(confirm, { action: 'continue' })
          assert.match(done.html, /You are signed in/)
        })()
      },
    })
    const first = await credential.getToken(VAULT)
    assert.equal((await claimsOf(first.token))['upn'], administrator.userName)
    const other = await credential.getToken('https://management.azure.com/.default')
    await claimsOf(other.token, 'https://management.azure.com')
    assert.equal(entered, 1, 'the refresh token is good for the other resource')
  })

  it('InteractiveBrowserCredential: the browser signs in, agrees, and posts the code to the loopback address', async () => {
    const opener = join(dir, 'browser.sh')
    const script = fileURLToPath(new URL('../support/sign-in.child.ts', import.meta.url))
    const log = join(dir, 'browser.log')
    await writeFile(opener, `#!/bin/sh\nexec "${process.execPath}" --import ${preload} ${script} "$1" >"${log}" 2>&1\n`)
    await chmod(opener, 0o700)
    const found = await inChild(
      `import { InteractiveBrowserCredential } from '@azure/identity'
       const credential = new InteractiveBrowserCredential({ tenantId: process.env.AZURE_TENANT_ID, authorityHost: process.env.AZURE_AUTHORITY_HOST, disableInstanceDiscovery: true })
       console.log(JSON.stringify(await credential.getToken('${VAULT}')))`,
      {
        BROWSER: opener,
        PATH: `${dir}:${process.env['PATH']}`,
        USER_NAME: administrator.userName,
        USER_PASSWORD: administrator.password,
      },
    ).catch(async (error: unknown) => {
      throw new Error(await readFile(log, 'utf8').catch(() => 'no browser was opened'), { cause: error })
    })
    assert.equal((await claimsOf(found['token'] ?? ''))['upn'], administrator.userName)
  })

  it('ManagedIdentityCredential and DefaultAzureCredential: in both forms, only with the identity`s secret · R13', async () => {
    const azure = await Azure.in(endpoints)
    await azure.account('identity')
    const principals = await graph.get<{ value: { id: string; alternativeNames: string[] }[] }>(
      'GET',
      `/servicePrincipals?$filter=${encodeURIComponent("servicePrincipalType eq 'ManagedIdentity'")}`,
    )
    const principalId = principals.value[0]?.id ?? ''
    const path = `${endpoints.resourceManager}/providers/OwnKey.Directory/identities/${principalId}/listSecret`
    const stranger = await graph.application({ displayName: 'no administrator' })
    const { secretText = '' } = await graph.get<Record<string, string>>(
      'POST',
      `/applications/${stranger.id}/addPassword`,
      {},
    )
    const ask = async (client: { clientId: string; clientSecret: string }) => {
      const token = await ownToken(endpoints, client, 'https://management.azure.com/.default')
      return fetch(path, { method: 'POST', headers: { authorization: `Bearer ${token}` } })
    }
    assert.equal((await ask({ clientId: stranger.appId, clientSecret: secretText })).status, 403)
    const { identityHeader } = (await (await ask(administrator)).json()) as { identityHeader: string }
    const appService = { IDENTITY_ENDPOINT: `${endpoints.instanceMetadata}/msi/token`, IDENTITY_HEADER: identityHeader }
    const instance = { AZURE_POD_IDENTITY_AUTHORITY_HOST: `${endpoints.instanceMetadata}/${identityHeader}` }
    for (const env of [appService, instance]) {
      for (const name of ['ManagedIdentityCredential', 'DefaultAzureCredential']) {
        const script = `import { ${name} } from '@azure/identity'
          console.log(JSON.stringify(await new ${name}().getToken('${VAULT}')))`
        const { token = '' } = await inChild(script, { ...env, AZURE_CLIENT_SECRET: '', AZURE_CLIENT_ID: '' })
        const claims = await claimsOf(token)
        assert.equal(claims['oid'], principalId, `${name} ${Object.keys(env).join()}`)
        assert.match(String(claims['xms_mirid']), /\/resourcegroups\/.*\/Microsoft\.CognitiveServices\/accounts\//)
      }
    }
    const bare = `${endpoints.instanceMetadata}/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net`
    assert.equal((await fetch(bare, { headers: { metadata: 'true' } })).status, 401, 'who has no secret gets nothing')
    const own = bare.replace('/metadata/', `/${identityHeader}/metadata/`)
    assert.equal((await fetch(own)).status, 400, 'without the header Metadata')
    assert.equal((await fetch(own, { headers: { metadata: 'true', 'x-forwarded-for': '10.0.0.1' } })).status, 400)
    const log = await readFile(join(cloud.dataDir, 'service.log'), 'utf8')
    const audit = await run(
      process.execPath,
      ['src/cli.ts', 'audit', '--data-dir', cloud.dataDir, '--format', 'json'],
      {
        cwd: root,
        maxBuffer: 1e8,
      },
    )
    assert.match(audit.stdout, /ManagedIdentitySignIn/)
    assert.ok(!log.includes(identityHeader) && !audit.stdout.includes(identityHeader), 'the secret is in no log')
  })

  async function inChild(script: string, env: Record<string, string>): Promise<Record<string, string>> {
    const shared = {
      AZURE_TENANT_ID: tenantId,
      AZURE_AUTHORITY_HOST: authorityHost,
      NODE_EXTRA_CA_CERTS: endpoints.caCertificate,
    }
    const { stdout } = await run(process.execPath, ['--import', preload, '--input-type=module', '-e', script], {
      cwd: root,
      timeout: 60_000,
      env: { PATH: process.env['PATH'], HOME: dir, ...shared, ...env },
    })
    return JSON.parse(stdout) as Record<string, string>
  }
})
