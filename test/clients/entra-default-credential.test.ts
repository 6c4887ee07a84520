import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { AuthorizationCodeCredential, OnBehalfOfCredential } from '@azure/identity'
import { decodeJwt } from 'jose'
import { AzSession, noAz } from '../support/az-session.ts'
import { makeCertificate } from '../support/certificate.ts'
import { cloudFor } from '../support/cloud.ts'
import { Graph, ownToken } from '../support/graph.ts'
import { signIns } from '../support/sign-in.ts'

const run = promisify(execFile)
const VAULT = 'https://vault.azure.net/.default'
const EXCHANGE = 'api://AzureADTokenExchange'
const CALLBACK = 'https://app.example/signin'
const root = fileURLToPath(new URL('../..', import.meta.url))
const preload = new URL('../../src/http/localhost.mjs', import.meta.url).href
const cloud = await cloudFor({ after })
const { endpoints } = cloud
const { authority: authorityHost, tenantId, administrator } = endpoints
const options = { authorityHost, disableInstanceDiscovery: true }

/** Programs without a named credential find one in their environment: in variables, files or az. */
describe('@azure/identity finds its credential', { concurrency: false }, () => {
  let dir: string
  let graph: Graph
  let app: { id: string; appId: string; principalId: string }
  let secret: string

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'ownkey-default-'))
    graph = await Graph.asAdministrator(endpoints)
    const { der, pem } = await makeCertificate('CN=program')
    await writeFile(join(dir, 'client.pem'), pem, { mode: 0o600 })
    app = await graph.application({
      displayName: 'a program',
      web: { redirectUris: [CALLBACK] },
      keyCredentials: [{ type: 'AsymmetricX509Cert', usage: 'Verify', key: der }],
    })
    const added = await graph.get<{ secretText: string }>('POST', `/applications/${app.id}/addPassword`, {})
    secret = added.secretText
  })
  after(async () => rm(dir, { recursive: true }))

  /** The claims of the token of `expression` in a process with these variables, and without ours. */
  async function claims(expression: string, env: NodeJS.ProcessEnv): Promise<Record<string, unknown>> {
    const script = `import * as identity from '@azure/identity'
      const options = { disableInstanceDiscovery: true }
      console.log((await (${expression}).getToken('${VAULT}')).token)`
    const shared = { AZURE_AUTHORITY_HOST: authorityHost, NODE_EXTRA_CA_CERTS: endpoints.caCertificate, HOME: dir }
    const { stdout } = await run(process.execPath, ['--import', preload, '--input-type=module', '-e', script], {
      cwd: root,
      timeout: 60_000,
      env: { PATH: process.env['PATH'], ...shared, ...env },
    })
    return decodeJwt(stdout.trim())
  }
  const own = () => ({ AZURE_TENANT_ID: tenantId, AZURE_CLIENT_ID: app.appId })
  const BOTH = ['new identity.EnvironmentCredential(options)', 'new identity.DefaultAzureCredential(options)']

  it('EnvironmentCredential and DefaultAzureCredential: a secret in the environment', async () => {
    for (const expression of BOTH) {
      const found = await claims(expression, { ...own(), AZURE_CLIENT_SECRET: secret })
      assert.deepEqual([found['oid'], found['appidacr']], [app.principalId, '1'], expression)
    }
  })

  it('EnvironmentCredential and DefaultAzureCredential: a certificate in a file', async () => {
    for (const expression of BOTH) {
      const found = await claims(expression, { ...own(), AZURE_CLIENT_CERTIFICATE_PATH: join(dir, 'client.pem') })
      assert.deepEqual([found['oid'], found['appidacr']], [app.principalId, '2'], expression)
    }
  })

  it('WorkloadIdentityCredential and DefaultAzureCredential: a federated token in a file', async () => {
    const token = await ownToken(endpoints, administrator, `${EXCHANGE}/.default`)
    await writeFile(join(dir, 'token'), token, { mode: 0o600 })
    await graph.get('POST', `/applications/${app.id}/federatedIdentityCredentials`, {
      name: 'workload',
      issuer: `https://sts.windows.net/${tenantId}/`,
      subject: decodeJwt(token).sub,
      audiences: [EXCHANGE],
    })
    for (const name of ['WorkloadIdentityCredential', 'DefaultAzureCredential']) {
      const env = { ...own(), AZURE_FEDERATED_TOKEN_FILE: join(dir, 'token') }
      assert.equal((await claims(`new identity.${name}(options)`, env))['oid'], app.principalId, name)
    }
  })

  it('ChainedTokenCredential: missing credentials are skipped', async () => {
    const chain = `new identity.ChainedTokenCredential(
      new identity.AzurePowerShellCredential(options), new identity.EnvironmentCredential(options))`
    assert.equal((await claims(chain, { ...own(), AZURE_CLIENT_SECRET: secret }))['oid'], app.principalId)
  })

  it('AzureCliCredential and DefaultAzureCredential: whoever is logged in to az', { skip: noAz }, async () => {
    const ends: (() => Promise<void>)[] = []
    const { env } = await AzSession.in(cloud, ends)
    const dev = { ...env, AZURE_TOKEN_CREDENTIALS: 'dev' }
    for (const name of ['AzureCliCredential', 'DefaultAzureCredential']) {
      const found = await claims(`new identity.${name}(options)`, dev)
      assert.equal(found['appid'], administrator.clientId, name)
    }
    for (const end of ends) await end()
  })

  it('AuthorizationCodeCredential: the code that the browser brought back to a web application', async () => {
    const { signedIn, newBrowser } = signIns(endpoints)
    const asked = { client_id: app.appId, redirect_uri: CALLBACK, code_challenge: '', code_challenge_method: '' }
    const { code } = await signedIn(newBrowser(), asked)
    const credential = new AuthorizationCodeCredential(tenantId, app.appId, secret, code, CALLBACK, options)
    const found = decodeJwt((await credential.getToken(VAULT)).token)
    assert.deepEqual([found['upn'], found['appid']], [administrator.userName, app.appId])
  })

  it('OnBehalfOfCredential is refused, since its grant is not supported here', async () => {
    const userAssertionToken = await ownToken(endpoints, administrator, VAULT)
    const credential = new OnBehalfOfCredential({
      ...options,
      tenantId,
      clientId: app.appId,
      clientSecret: secret,
      userAssertionToken,
    })
    await assert.rejects(credential.getToken(VAULT), /AADSTS70003.*unsupported grant type/)
  })
})
