import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { auditRecords, ownkey } from '../audit/ownkey.fixture.ts'
import { Azure, refusal } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { readDatabase, refusedStart, serviceLog, writeDatabase } from './database-writer.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const [victim, thief, other] = [
  await azure.account('victim'),
  await azure.account('thief'),
  await azure.account('other'),
]
const keys = await azure.vault('kv-macs')
await keys.createRsaKey('cmk', { keySize: 2048 })
await azure.policy('kv-macs', 'add', victim.principalId)
const stolen = await victim.upload('what only the victim may read')
const own = await thief.upload('what the thief uploaded')
const bystander = await other.upload('what has nothing to do with it')
const { dataDir } = cloud
const verify = (...args: string[]) => ownkey('audit', 'verify', '--data-dir', dataDir, ...args)
const row = (collection: string, like: string) => {
  const [found] = readDatabase(
    dataDir,
    'SELECT id, version, value, mac FROM records WHERE collection = ? AND value LIKE ?',
    collection,
    `%${like}%`,
  )
  assert.ok(found, `${collection} ${like}`)
  return { id: String(found['id']), value: JSON.parse(String(found['value'])) as Record<string, unknown> }
}
const rewrite = (collection: string, id: string, value: object) =>
  assert.equal(
    writeDatabase(
      dataDir,
      'UPDATE records SET value = ? WHERE collection = ? AND id = ?',
      JSON.stringify(value),
      collection,
      id,
    ),
    1,
  )

test("a writer of the database who points their file's row at another's blob reads nothing · R27", async () => {
  await cloud.stop()
  const [mine, theirs] = [row('openai.files', own), row('openai.files', stolen)]
  const { accountId, blobId } = theirs.value
  rewrite('openai.files', mine.id, { ...mine.value, accountId, blobId })
  await cloud.restart()
  const refused = await refusal(() => thief.download(own))
  assert.deepEqual([refused?.status, refused?.code], [500, 'RecordTampered'])
  assert.match(refused?.message ?? '', /changed outside this service/u)
  assert.doesNotMatch(refused?.message ?? '', new RegExp(`${String(accountId)}|${String(blobId)}`, 'u'))
  assert.match((await victim.download(stolen)).toString(), /only the victim may read/u)
  assert.match((await other.download(bystander)).toString(), /nothing to do/u)
  const { code, output } = await verify()
  assert.equal(code, 1)
  assert.match(output, new RegExp(`changed +openai\\.files ${mine.id}`, 'u'))
  const proof = await ownkey('prove', '--data-dir', dataDir)
  assert.equal(proof.code, 1)
  assert.match(proof.output, new RegExp(`openai\\.files ${mine.id}`, 'u'))
  assert.match(await serviceLog(dataDir), new RegExp(`"level":"error".*openai\\.files.*${mine.id}`, 'u'))
  const told = (await auditRecords(dataDir)).filter(({ operationName }) => operationName === 'OwnKey/records/tampered')
  assert.deepEqual(
    told.map(({ resultType, properties }) => [resultType, properties['collection'], properties['id']]),
    [['Failed', 'openai.files', mine.id]],
  )
  await cloud.stop()
  rewrite('openai.files', mine.id, mine.value)
  await cloud.restart()
  assert.match((await thief.download(own)).toString(), /the thief uploaded/u)
})

test('forged rows of accounts, vaults, role assignments and principals give no access', async () => {
  const { id: principal } = (await azure.arm('GET', azure.accountPath('thief'))).body
  const { status } = await azure.arm(
    'PUT',
    `${azure.accountPath('other')}/providers/Microsoft.Authorization/roleAssignments/11111111-1111-4111-8111-111111111111`,
    {
      properties: {
        principalId: other.principalId,
        roleDefinitionId: `/subscriptions/${cloud.endpoints.subscriptionId}/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7`,
      },
    },
    '2022-04-01',
  )
  assert.ok(status < 300 && principal)
  await cloud.stop()
  const assignment = row('arm.role-assignments', '11111111-1111-4111-8111-111111111111')
  const edits: [string, string, Record<string, unknown>][] = [
    ['accounts.accounts', row('accounts.accounts', '"thief"').id, { properties: 'forged' }],
    ['keyvault.vaults', row('keyvault.vaults', 'kv-macs').id, { accessPolicies: [] }],
    ['arm.role-assignments', assignment.id, { principalId: thief.principalId }],
    ['entra.principals', row('entra.principals', thief.principalId).id, { enabled: false }],
  ]
  const before = edits.map(
    ([collection, id]) =>
      [
        collection,
        id,
        readDatabase(dataDir, 'SELECT value FROM records WHERE collection = ? AND id = ?', collection, id)[0],
      ] as const,
  )
  for (const [[collection, id, change], [, , old]] of edits.map((edit, index) => [edit, before[index]!] as const))
    rewrite(collection, id, { ...(JSON.parse(String(old?.['value'])) as object), ...change })
  await cloud.restart()
  // The thief's own account and the vault are closed; everybody else goes on.
  assert.equal((await azure.arm('GET', azure.accountPath('thief'))).status, 500)
  assert.equal(
    (await azure.arm('GET', azure.vaultPath('kv-macs'), undefined, '2023-07-01')).body.error.code,
    'RecordTampered',
  )
  assert.equal((await azure.arm('GET', azure.accountPath('victim'))).status, 200)
  assert.match((await victim.download(stolen)).toString(), /only the victim/u)
  assert.match((await other.download(bystander)).toString(), /nothing to do/u)
  const { code, output } = await verify()
  assert.equal(code, 1)
  for (const [collection, id] of edits) assert.ok(output.includes(`${collection} ${id}`), output)
  await cloud.stop()
  for (const [collection, id, old] of before) rewrite(collection, id, JSON.parse(String(old?.['value'])) as object)
})

test('one space more in the value of a record of any collection is found and named', async () => {
  const all = readDatabase(
    dataDir,
    "SELECT collection, min(id) AS id FROM records WHERE collection <> 'audit-entries' GROUP BY collection",
  )
  assert.ok(all.length > 15, String(all.length))
  const change = (from: string, to: string) => {
    for (const { collection, id } of all)
      writeDatabase(
        dataDir,
        `UPDATE records SET value = '${to}' || substr(value, ${from.length + 1}) WHERE collection = ? AND id = ?`,
        String(collection),
        String(id),
      )
  }
  change('{', '{ ')
  const { code, output } = await verify()
  assert.equal(code, 1)
  for (const { collection, id } of all)
    assert.ok(output.includes(`${String(collection)} ${String(id)}`), `${String(collection)}\n${output}`)
  change('{ ', '{')
  assert.equal((await verify()).code, 0)
})

test('a policy that was removed and put back in the database ends the start · K2', async () => {
  await cloud.restart()
  const vaultOf = () => readDatabase(dataDir, "SELECT * FROM records WHERE collection = 'keyvault.vaults'")[0] ?? {}
  await cloud.stop()
  const old = vaultOf()
  await cloud.restart()
  await azure.policy('kv-macs', 'remove', victim.principalId)
  await cloud.stop()
  const present = vaultOf()
  const replace = ({ id, version, value, mac }: Record<string, unknown>) =>
    writeDatabase(
      dataDir,
      `UPDATE records SET version = ${Number(version)}, value = ?, mac = x'${Buffer.from(mac as Uint8Array).toString('hex')}' WHERE collection = 'keyvault.vaults' AND id = ?`,
      String(value),
      String(id),
    )
  replace(old)
  for (let tries = 0; tries < 2; tries++)
    assert.match(
      await refusedStart(dataDir),
      /changed outside this service, in keyvault\.vaults: records were put back/u,
    )
  const { code, output } = await verify()
  assert.equal(code, 1)
  assert.match(output, /in keyvault\.vaults/u)
  replace(present)
  assert.equal((await verify()).code, 0)
  await cloud.restart()
  assert.equal((await ownkey('prove', '--data-dir', dataDir)).code, 0)
})

test('records that were deleted or brought back end the start, until the operator accepts them', async () => {
  await cloud.stop()
  const [kept] = readDatabase(
    dataDir,
    "SELECT id FROM records WHERE collection = 'openai.files' AND value LIKE ?",
    `%${own}%`,
  )
  writeDatabase(dataDir, "DELETE FROM records WHERE collection = 'openai.files' AND id = ?", String(kept?.['id']))
  assert.match(await refusedStart(dataDir), /in openai\.files/u)
  const { startCloudProcess } = await import('../../src/harness/cloud-process.ts')
  const accepted = await startCloudProcess(dataDir, ['--accept-changed-records'])
  const told = (await auditRecords(dataDir)).filter(({ operationName }) => operationName === 'OwnKey/records/accepted')
  assert.deepEqual(
    told.map(({ properties }) => properties['collections']),
    [['openai.files']],
  )
  await accepted.stop()
  await cloud.restart()
  assert.equal((await verify()).code, 0)
})
