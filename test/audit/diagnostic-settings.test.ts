import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { administratorCredential, ArmClient } from '../../src/harness/azure-client.ts'
import { startCloudProcess } from '../../src/harness/cloud-process.ts'
import type { Scene } from '../../src/harness/scene.ts'
import { sceneFor } from '../support/cloud.ts'
import { auditRecords, ownkey } from './ownkey.fixture.ts'

const VERSION = '2021-05-01-preview'
const STORAGE = '/subscriptions/s/resourceGroups/logs/providers/Microsoft.Storage/storageAccounts'

const vaultPath = (name: string): string => `/resourceGroups/demo/providers/Microsoft.KeyVault/vaults/${name}`
const settings = (name: string): string => `${vaultPath(name)}/providers/microsoft.insights/diagnosticSettings`
const arm = (scene: Scene): ArmClient => new ArmClient(scene.endpoints, administratorCredential(scene.endpoints))

function setting(account: string, logs: object[] = [{ category: 'AuditEvent', enabled: true }]): object {
  return { properties: { storageAccountId: `${STORAGE}/${account}`, logs } }
}

async function folderFor(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ownkey-diagnostics-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

interface Line {
  readonly operationName: string
  readonly sequence: number
  readonly durationMs: string
  readonly resourceId: string
  readonly category: string
}

async function linesOf(folder: string): Promise<{ paths: string[]; lines: Line[] }> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  const paths = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
  const texts = await Promise.all(paths.sort().map(path => readFile(path, 'utf8')))
  const lines = texts.flatMap(text => text.split('\n').filter(line => line !== ''))
  return { paths, lines: lines.map(line => JSON.parse(line) as Line) }
}

test("a diagnostic setting writes the vault's audit records, each once, in Azure's layout · R05", async t => {
  const folder = await folderFor(t)
  const { scene, cloud, dataDir } = await sceneFor(t, ['--diagnostics-dir', folder])
  await scene.keys.createEcKey('before')
  const path = `${settings(scene.vault)}/to-storage`
  const made = await arm(scene).call<{ name: string; id: string; properties: { logs: unknown } }>(
    'PUT',
    path,
    VERSION,
    setting('auditlogs'),
  )
  assert.equal(made.name, 'to-storage')
  assert.match(made.id, /\/providers\/microsoft\.insights\/diagnosticSettings\/to-storage$/)
  await scene.keys.createEcKey('after')
  await assert.rejects(scene.keys.purgeDeletedKey('after'))
  await cloud.stop()

  const { paths, lines } = await linesOf(folder)
  const resource = `/SUBSCRIPTIONS/${scene.endpoints.subscriptionId.toUpperCase()}/RESOURCEGROUPS/DEMO/PROVIDERS/MICROSOFT.KEYVAULT/VAULTS/CONTOSO-KEYS`
  const layout = new RegExp(
    `^${folder}/auditlogs/insights-logs-auditevent/resourceId=${resource}/y=\\d{4}/m=\\d\\d/d=\\d\\d/h=\\d\\d/m=00/PT1H\\.json$`,
  )
  assert.ok(
    paths.every(one => layout.test(one)),
    paths.join('\n'),
  )
  const names = lines.map(({ operationName }) => operationName)
  assert.equal(names.filter(name => name === 'KeyCreate').length, 1)
  assert.ok(names.includes('Microsoft.Insights/diagnosticSettings/write') && names.includes('KeyPurge'))
  assert.ok(lines.every(({ durationMs, category }) => typeof durationMs === 'string' && category === 'AuditEvent'))

  const again = await startCloudProcess(dataDir, ['--diagnostics-dir', folder])
  t.after(() => again.stop())
  await again.stop()
  const log = (await auditRecords(dataDir)).filter(
    ({ resourceId, sequence }) => resourceId === resource && sequence >= (lines[0]?.sequence ?? 0),
  )
  assert.deepEqual(
    (await linesOf(folder)).lines.map(({ sequence }) => sequence),
    log.map(({ sequence }) => sequence),
  )
})

test('a setting with fields that would have no effect is refused, with what to do instead', async t => {
  const { scene } = await sceneFor(t)
  const put = (name: string, body: object): Promise<unknown> =>
    arm(scene).call('PUT', `${settings(scene.vault)}/${name}`, VERSION, body)
  const refused = [
    [{ properties: { workspaceId: '/subscriptions/s', logs: [] } }, /Use storageAccountId/],
    [{ properties: { logs: [] } }, /'storageAccountId' must be like/],
    [setting('../../etc'), /'storageAccountId' must be like/],
    [setting('UPPER'), /'storageAccountId' must be like/],
    [setting('one', [{ category: 'RequestResponse', enabled: true }]), /category 'RequestResponse' is not supported/],
    [
      setting('one', [{ category: 'AuditEvent', enabled: true, retentionPolicy: { enabled: true, days: 90 } }]),
      /delete old files/,
    ],
    [{ properties: 'none' }, /properties/],
  ] as const
  for (const [body, message] of refused) await assert.rejects(put('bad', body), { status: 400, message })
  await put('one', setting('one'))
  await put('one', setting('one', [{ categoryGroup: 'audit', enabled: true }]))
  await assert.rejects(put('two', setting('one')), { status: 409, message: /already used in diagnostic setting 'one'/ })
  for (const name of ['two', 'three', 'four', 'five']) await put(name, setting(name))
  await assert.rejects(put('six', setting('six')), { status: 400, message: /at most 5/ })
  const list = await arm(scene).call<{ value: { name: string }[] }>('GET', settings(scene.vault), VERSION)
  assert.deepEqual(list.value.map(({ name }) => name).sort(), ['five', 'four', 'one', 'three', 'two'])
  await arm(scene).call('DELETE', `${settings(scene.vault)}/ONE`, VERSION)
  await assert.rejects(arm(scene).call('GET', `${settings(scene.vault)}/one`, VERSION), { status: 404 })
  const categories = await arm(scene).call<{ value: { name: string }[] }>(
    'GET',
    `${settings(scene.vault)}Categories`,
    VERSION,
  )
  assert.deepEqual(
    categories.value.map(({ name }) => name),
    ['AuditEvent'],
  )
  await assert.rejects(arm(scene).call('GET', settings(scene.vault), '1999-01-01'), { status: 400 })
  await assert.rejects(arm(scene).call('GET', settings('nowhere'), VERSION), { status: 404 })
})

test('a setting is removed with its vault, so a later vault of the name does not inherit it', async t => {
  const folder = await folderFor(t)
  const { scene, dataDir } = await sceneFor(t, ['--diagnostics-dir', folder, '--clock-control'])
  const { tenantId, location } = scene.endpoints
  const properties = { tenantId, sku: { family: 'A', name: 'standard' }, accessPolicies: [] }
  const create = (): Promise<unknown> =>
    arm(scene).call('PUT', vaultPath('passing'), '2023-07-01', { location, properties })
  await create()
  await arm(scene).call('PUT', `${settings('passing')}/s`, VERSION, setting('passing'))
  await arm(scene).call('DELETE', vaultPath('passing'), '2023-07-01')
  await ownkey('clock', 'advance', '91d', '--data-dir', dataDir)
  const isExported = async (): Promise<boolean> =>
    (await linesOf(folder)).lines.some(({ operationName }) => operationName === 'VaultPurge')
  for (let wait = 0; wait < 50 && !(await isExported()); wait++) await new Promise(done => setTimeout(done, 200))
  assert.ok(await isExported())
  await create()
  const list = await arm(scene).call<{ value: unknown[] }>('GET', settings('passing'), VERSION)
  assert.deepEqual(list.value, [])
})
