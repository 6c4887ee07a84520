import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { administratorOf, newTenant } from '../arm/arm.fixture.ts'
import { Azure, untilRefused } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const [own, plain] = [await azure.account('proven'), await azure.account('plain', 'None')]
const keys = await azure.vault('kv-prove')
const { properties } = await keys.createRsaKey('cmk', { keySize: 2048 })
await azure.policy('kv-prove', 'add', own.principalId)
const file = await own.upload('proven data')
await plain.upload('other data')
await own.encrypt({ vault: 'kv-prove', name: 'cmk', version: properties.version })
const { fine_tuned_model: model } = await own.jobIs(await own.train(file), ['succeeded'])
await own.deploy('serving', model ?? '')

interface Report {
  readonly proven: boolean
  readonly accounts: readonly {
    readonly account: string
    readonly key: string
    readonly state: string
    readonly blobs: number
    readonly opened: number
    readonly closed: number
    readonly problems: readonly string[]
    readonly since?: string
    readonly lastSuccess?: string
    readonly revocable: number
    readonly earlierGenerationBlobs: number
    readonly each: readonly { readonly kind: string; readonly protectedBy: string; readonly outcome: string }[]
  }[]
}

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
const prove = (...args: string[]): Promise<{ code: number; text: string; report: Report }> =>
  new Promise(resolve => {
    execFile(process.execPath, [cli, 'prove', '--data-dir', cloud.dataDir, ...args], (error, stdout) => {
      const report = (args.includes('json') ? JSON.parse(stdout) : {}) as Report
      resolve({ code: Number(error?.code ?? 0), text: stdout, report })
    })
  })

test('R01, R05: `ownkey prove` opens every blob of every account under its own key, and names that key', async () => {
  const { code, report } = await prove('--format', 'json', '--whole')
  assert.equal(code, 0, JSON.stringify(report))
  const proven = report.accounts.find(({ account }) => account === 'proven')
  assert.match(proven?.key ?? '', /kv-prove\.vault\..*\/keys\/cmk\//)
  assert.ok((proven?.blobs ?? 0) > 4)
  assert.equal(proven?.opened, proven?.blobs)
  assert.match(`${proven?.since} ${proven?.lastSuccess}`, /^20\S+Z 20\S+Z$/)
  // All except the deployment's own copy.
  assert.equal(proven?.revocable, (proven?.blobs ?? 0) - 1)
  // The file was uploaded before the customer's key was enabled; what was trained and deployed came later.
  assert.equal(proven?.earlierGenerationBlobs, 1)
  const told = (await prove()).text.replaceAll(/\s+/g, ' ')
  assert.match(told, /1 of \d+ are still under a data key from before the present key: re-encrypt moves them/)
  const ofService = proven?.each.filter(({ protectedBy }) => protectedBy === 'service').map(({ kind }) => kind)
  assert.deepEqual(ofService, ['deployment'])
  assert.ok(proven?.each.every(({ outcome }) => outcome === 'Opened'))
  assert.equal(report.accounts.find(({ account }) => account === 'plain')?.key, 'service-managed')
  const { text } = await prove()
  assert.match(text, /Everything is as promised\./)
  assert.match(text, /available since 20.*\n {5}last used 20.*\n {5}a revocation closes \d+ of \d+ within a lease/)
})

test('R22, R25: revoked, it shows that only the copies of deployments open', async () => {
  await azure.policy('kv-prove', 'remove', own.principalId)
  await untilRefused(() => own.download(file))
  const { code, report } = await prove('--format', 'json', '--account', 'proven')
  assert.equal(code, 0, JSON.stringify(report))
  const [found] = report.accounts
  assert.match(found?.state ?? '', /unavailable \(AccessDenied\)/)
  assert.equal(found?.opened, 1, 'the deployment')
  assert.equal(found.closed, found.blobs - 1)
  await azure.policy('kv-prove', 'add', own.principalId)
})

test('R01: a changed byte on the disk is found and named', async () => {
  const folder = join(cloud.dataDir, 'blobs')
  const entries = (await readdir(folder, { recursive: true, withFileTypes: true })).filter(entry => entry.isFile())
  const [first] = entries.map(entry => join(entry.parentPath, entry.name))
  const handle = await open(first ?? '', 'r+')
  const at = (await stat(first ?? '')).size - 3
  const byte = Buffer.alloc(1)
  await handle.read(byte, 0, 1, at)
  await handle.write(Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, at)
  const { code, report } = await prove('--format', 'json', '--whole')
  assert.equal(code, 1)
  assert.match(report.accounts.flatMap(({ problems }) => problems).join(), /did not open/)
  await handle.write(byte, 0, 1, at)
  await handle.close()
  assert.equal((await prove('--whole')).code, 0)
})

test('R01: accounts of every subscription are proven, and re-encrypted by name or, where two have it, by id', async () => {
  const alias = '/providers/Microsoft.Subscription/aliases/second?api-version=2021-10-01'
  const made = await azure.armRoot('PUT', alias, { properties: { displayName: 'Second', workload: 'Production' } })
  const { subscriptionId } = made.body.properties as { subscriptionId: string }
  const second = await Azure.in({ ...cloud.endpoints, subscriptionId })
  const far = await second.account('far', 'None')
  await far.upload('data of another subscription')
  const { report } = await prove('--format', 'json')
  assert.equal(report.accounts.find(({ account }) => account === 'far')?.opened, 1)
  const reEncrypt = (account: string): Promise<string> =>
    new Promise(resolve => {
      const args = [cli, 're-encrypt', '--data-dir', cloud.dataDir, '--account', account]
      execFile(process.execPath, args, (_, stdout, stderr) => resolve(stdout + stderr))
    })
  assert.match(await reEncrypt('far'), /Done: the former data keys are destroyed/)
  const same = { location: cloud.endpoints.location, kind: 'OpenAI', sku: { name: 'S0' } }
  assert.equal((await second.arm('PUT', second.accountPath('plain'), same)).status, 201)
  assert.match(await reEncrypt('plain'), /There are 2 of them/)
  const id = `/subscriptions/${subscriptionId}${second.accountPath('plain')}`
  assert.match(await reEncrypt(id), /Done: the former data keys are destroyed/)
})

test('R27: accounts of other tenants are closed to it, and are counted', async () => {
  const other = await newTenant(await administratorOf(cloud.endpoints), 'Fabrikam')
  const alias = await other.arm('PUT', '/providers/Microsoft.Subscription/aliases/theirs', { properties: {} })
  const base = `/subscriptions/${alias.body.properties.subscriptionId}/resourceGroups/theirs`
  const { location } = cloud.endpoints
  await other.arm('PUT', base, { location })
  const made = await other.arm('PUT', `${base}/providers/Microsoft.CognitiveServices/accounts/theirs`, {
    location,
    kind: 'OpenAI',
    sku: { name: 'S0' },
    properties: { customSubDomainName: 'theirs' },
  })
  assert.ok(made.status < 300, JSON.stringify(made.body))
  const { code, text } = await prove()
  assert.equal(code, 0, text)
  assert.match(text, /note 1 accounts of other tenants were not looked at/)
  assert.doesNotMatch(text, /theirs/)
})
