import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { decodeJwt } from 'jose'
import { AzSession, noAz } from '../support/az-session.ts'
import { Azure } from '../support/azure.ts'
import { makeCertificate } from '../support/certificate.ts'
import { cloudFor } from '../support/cloud.ts'
import { Graph, ownToken } from '../support/graph.ts'
import { noPython, python } from '../support/python.ts'
import { Browser } from '../support/sign-in-browser.ts'
import { AZURE_CLI } from '../support/sign-in.ts'

const EXCHANGE = 'api://AzureADTokenExchange'

test(
  'azure-identity: each credential that can work here gets a token of its principal · R13',
  { skip: noPython },
  async t => {
    const cloud = await cloudFor(t)
    const { endpoints } = cloud
    const { tenantId, administrator, authority, instanceMetadata } = endpoints
    const dir = await mkdtemp(join(tmpdir(), 'ownkey-python-'))
    const ends: (() => Promise<void>)[] = [() => rm(dir, { recursive: true })]
    t.after(() => Promise.all(ends.map(end => end())))
    const graph = await Graph.asAdministrator(endpoints)
    const { der, pem } = await makeCertificate('CN=python')
    const keyCredentials = [{ type: 'AsymmetricX509Cert', usage: 'Verify', key: der }]
    const { id, appId, principalId } = await graph.application({ displayName: 'a Python program', keyCredentials })
    const { secretText: secret } = await graph.get<{ secretText: string }>(
      'POST',
      `/applications/${id}/addPassword`,
      {},
    )
    const token = await ownToken(endpoints, administrator, `${EXCHANGE}/.default`)
    await graph.get('POST', `/applications/${id}/federatedIdentityCredentials`, {
      name: 'own',
      issuer: `https://sts.windows.net/${tenantId}/`,
      subject: decodeJwt(token).sub,
      audiences: [EXCHANGE],
    })
    const certificate = join(dir, 'client.pem')
    const tokenFile = join(dir, 'token')
    await writeFile(certificate, pem, { mode: 0o600 })
    await writeFile(tokenFile, token, { mode: 0o600 })
    const azure = await Azure.in(endpoints)
    const account = await azure.account('identity')
    const path = `/providers/OwnKey.Directory/identities/${account.principalId}/listSecret`
    const { identityHeader } = (await azure.armRoot('POST', path)).body
    const given = {
      tenantId,
      appId,
      secret,
      certificate,
      tokenFile,
      cli: AZURE_CLI,
      az: noAz === false,
      managedIdentity: {
        'app-service': { IDENTITY_ENDPOINT: `${instanceMetadata}/msi/token`, IDENTITY_HEADER: identityHeader },
        imds: { AZURE_POD_IDENTITY_AUTHORITY_HOST: `${instanceMetadata}/${identityHeader}` },
      },
    }
    const env = noAz === false ? (await AzSession.in(cloud, ends)).env : {}
    const output = await python(cloud, ['test/clients/python/identity.py'], {
      input: JSON.stringify(given),
      env: { PATH: env['PATH'], AZURE_CONFIG_DIR: env['AZURE_CONFIG_DIR'], AZURE_CORE_INSTANCE_DISCOVERY: 'false' },
      onLine: async line => {
        const [, uri, code] = /^CODE (\S+) (\S+)$/.exec(line) ?? []
        if (uri === undefined || code === undefined) return
        const browser = new Browser(authority)
        const asked = await browser.submit(await browser.go(uri), { code })
        const confirm = await browser.signIn(asked, administrator.userName, administrator.password)
        await browser.submit(confirm, { action: 'continue' })
      },
    })
    const seen = Object.fromEntries(
      output
        .trim()
        .split('\n')
        .filter(line => !line.startsWith('CODE'))
        .map(line => [line.split(' ')[0], line.split(' ').slice(1)] as const),
    )
    for (const [how, names] of Object.entries({
      1: ['secret', 'chain', 'env-secret:EnvironmentCredential', 'env-secret:DefaultAzureCredential'],
      2: [
        'certificate',
        'assertion',
        'workload',
        'env-certificate:EnvironmentCredential',
        'env-workload:DefaultAzureCredential',
      ],
    }))
      for (const name of names) assert.deepEqual(seen[name], [principalId, appId, how], name)
    for (const form of ['app-service', 'imds'])
      for (const name of ['ManagedIdentityCredential', 'DefaultAzureCredential'])
        assert.equal(seen[`${form}:${name}`]?.[0], account.principalId, `${form} ${name}`)
    assert.equal(seen['device']?.[1], AZURE_CLI)
    if (noAz === false) assert.equal(seen['az']?.[1], administrator.clientId)
  },
)
