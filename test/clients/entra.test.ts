import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createSecretKey, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { listenMetadata, type MetadataListener } from '../../src/entra/metadata.ts'
import { openEntra, type Entra } from '../../src/entra/open-entra.ts'
import { systemEnv } from '../../src/base/env.ts'
import { openCertificates, type ServerCertificates } from '../../src/http/certificates.ts'
import { listen, type Listener } from '../../src/http/listen.ts'
import { openMemoryRecords } from '../../src/store/memory-records.ts'
import type { RecordStore } from '../../src/store/records.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const preload = new URL('../../src/http/localhost.mjs', import.meta.url).href

/** The unmodified @azure/identity in a process of its own, which trusts the local CA as a user's would. */
describe('@azure/identity', () => {
  let dir: string
  let certificates: ServerCertificates
  let records: RecordStore
  let entra: Entra
  let listener: Listener
  let metadata: MetadataListener
  let authority: string
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'ownkey-identity-'))
    certificates = await openCertificates(dir, 'localhost', systemEnv)
    records = openMemoryRecords()
    const shared = { env: systemEnv, domain: 'localhost', portal: 'https://portal.localhost:8443' }
    const sealingKey = createSecretKey(randomBytes(32))
    entra = await openEntra({ ...shared, records, sealingKey, authority: tenantId => `${authority}/${tenantId}` })
    const own = entra.managementAuthenticator
    const authenticators = { management: own, vault: own, openai: own, administrator: own }
    listener = await listen({ ...shared, port: 0, certificates, routes: entra.routes, authenticators })
    authority = `https://login.localhost:${listener.port}`
    metadata = await listenMetadata({
      ...shared,
      port: 0,
      identities: entra.identities,
      caPem: () => certificates.caPem,
    })
  })
  after(async () => {
    await metadata.close()
    await listener.close()
    await rm(dir, { recursive: true })
  })

  async function client(script: string, env: Record<string, string> = {}): Promise<Record<string, string>> {
    const { clientId, clientSecret, tenantId } = entra.administrator
    const login = { AZURE_CLIENT_ID: clientId, AZURE_CLIENT_SECRET: clientSecret, AZURE_TENANT_ID: tenantId }
    const { stdout } = await run(process.execPath, ['--import', preload, '--input-type=module', '-e', script], {
      cwd: root,
      env: { ...login, AZURE_AUTHORITY_HOST: authority, NODE_EXTRA_CA_CERTS: certificates.caFile, ...env },
    })
    return JSON.parse(stdout) as Record<string, string>
  }

  const login = (options: string) => `
    import { ClientSecretCredential } from '@azure/identity'
    const { AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET, AZURE_AUTHORITY_HOST: authorityHost } = process.env
    const credential = new ClientSecretCredential(${options})
    try {
      console.log(JSON.stringify(await credential.getToken('https://vault.azure.net/.default')))
    } catch (error) {
      console.log(JSON.stringify({ name: error.name, message: error.message }))
    }`

  it('logs in with a client secret', async () => {
    const options = '{ authorityHost, disableInstanceDiscovery: true }'
    const { token = '' } = await client(login(`AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET, ${options}`))
    const caller = await entra.tokens.verify(token, { audiences: ['vault'] })
    assert.equal(caller.objectId, entra.administrator.objectId)
  })

  it('logs in under adfs without switching instance discovery off', async () => {
    const { token = '' } = await client(login(`'adfs', AZURE_CLIENT_ID, AZURE_CLIENT_SECRET, { authorityHost }`))
    assert.equal((await entra.tokens.verify(token, { audiences: ['vault'] })).tenantId, entra.administrator.tenantId)
  })

  it('shows people what is wrong with their secret', async () => {
    const options = '{ authorityHost, disableInstanceDiscovery: true }'
    const failed = await client(login(`AZURE_TENANT_ID, AZURE_CLIENT_ID, 'wrong', ${options}`))
    assert.equal(failed['name'], 'AuthenticationRequiredError')
    assert.match(failed['message'] ?? '', /AADSTS7000215: Invalid client secret provided/)
  })

  it('finds its login in the environment as DefaultAzureCredential', async () => {
    const { token = '' } = await client(`
      import { DefaultAzureCredential } from '@azure/identity'
      const credential = new DefaultAzureCredential({ disableInstanceDiscovery: true })
      console.log(JSON.stringify(await credential.getToken('https://management.azure.com/.default')))`)
    await entra.tokens.verify(token, { audiences: ['management'] })
  })

  it('gets the token of a managed identity from instance metadata, in the App Service form · R13', async () => {
    const { tenantId } = entra.administrator
    const resourceId = '/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/a'
    const made = entra.identities.create({ resourceId, name: 'a', tenantId })
    await records.commit(made.changes)
    const script = `
      import { ManagedIdentityCredential } from '@azure/identity'
      console.log(JSON.stringify(await new ManagedIdentityCredential().getToken('https://vault.azure.net/.default')))`
    const env = {
      IDENTITY_ENDPOINT: metadata.identityEndpoint,
      IDENTITY_HEADER: entra.identities.secret(made.principalId),
    }
    const { token = '' } = await client(script, env)
    assert.equal((await entra.tokens.verify(token, { audiences: ['vault'] })).objectId, made.principalId)
  })
})
