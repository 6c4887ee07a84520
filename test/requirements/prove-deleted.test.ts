import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { auditRecords, ownkey } from '../audit/ownkey.fixture.ts'
import { Azure, BASE_MODEL } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after }, ['--clock-control'])
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('proven')
const file = await account.upload('to be deleted')
const { fine_tuned_model: model, result_files: results } = await account.jobIs(await account.train(file), ['succeeded'])
assert.ok(model)
await account.deploy('serving', model)
await account.deploy('base', BASE_MODEL)

interface Report {
  readonly proven: boolean
  readonly facts: readonly {
    readonly fate: string
    readonly kind: string
    readonly time: string
    readonly by: string
    readonly sequence: number
    readonly hash: string
    readonly withAccount: boolean
    readonly leftOnDisk?: boolean
  }[]
  readonly audit: { readonly ok: boolean }
}

const proofOf = async (id: string, ...args: string[]): Promise<{ code: number; report: Report }> => {
  const given = ['prove', '--deleted', id, '--data-dir', cloud.dataDir, '--format', 'json', ...args]
  const { code, output, errors } = await ownkey(...given)
  assert.notEqual(output, '', errors)
  return { code, report: JSON.parse(output) as Report }
}

test('R26, R28: something that still exists is not proven deleted', async () => {
  for (const id of [file, model, results[0] ?? '', 'serving', 'proven']) {
    const { code, report } = await proofOf(id)
    assert.deepEqual([code, report.proven, report.facts[0]?.fate], [1, false, 'exists'], id)
  }
  const { code, output } = await ownkey('prove', '--deleted', 'file-none', '--data-dir', cloud.dataDir)
  assert.equal(code, 1)
  assert.match(output, /no record of 'file-none'.*\n[^]*NOT proven/)
})

test('R26, R28: for a deleted deployment, model and file: when its key was destroyed, by whom, with number and hash of the record', async () => {
  await account.undeploy('serving')
  await account.undeploy('base')
  await account.openai.models.delete(model)
  await account.openai.files.delete(file)
  const kinds = { serving: 'deployment', [model]: 'model', [file]: 'file' }
  const log = await auditRecords(cloud.dataDir)
  for (const [id, kind] of Object.entries(kinds)) {
    const { code, report } = await proofOf(id)
    const [fact, ...others] = report.facts
    assert.deepEqual(others, [])
    assert.deepEqual([code, fact?.fate, fact?.kind, fact?.leftOnDisk], [0, 'destroyed', kind, false], id)
    const record = log.find(({ sequence }) => sequence === fact?.sequence)
    assert.deepEqual([record?.hash, record?.time], [fact?.hash, fact?.time])
    assert.match(record?.operationName ?? '', /delete$/)
    assert.equal(fact?.by, kind === 'deployment' ? 'OwnKey administrator' : 'API key')
  }
  const { output } = await ownkey('prove', '--deleted', file, '--data-dir', cloud.dataDir, '--account', 'proven')
  assert.match(output, /yes {2}file file-\w+ of proven:\n {5}its key was destroyed at 20.*\n {5}by {6}API key, from/)
  assert.match(output, /no file of it in the folder\nyes {2}the audit log is as it was written/)
  assert.equal((await proofOf(file, '--account', 'another')).code, 1)
  const base = await ownkey('prove', '--deleted', 'base', '--data-dir', cloud.dataDir)
  assert.match(base.output, /had no data of its own/)
})

test('R26, R28: what an account had before it was moved to another group is proven deleted too', async () => {
  const moving = await azure.account('moving')
  const [deleted, kept] = [await moving.upload('deleted after the move'), await moving.upload('purged after the move')]
  const { location, subscriptionId } = cloud.endpoints
  await azure.arm('PUT', '/resourceGroups/elsewhere', { location }, '2025-04-01')
  const subscription = `/subscriptions/${subscriptionId}`
  const body = {
    resources: [`${subscription}${azure.accountPath('moving')}`],
    targetResourceGroup: `${subscription}/resourceGroups/elsewhere`,
  }
  const path = '/resourceGroups/elsewhere/providers/Microsoft.CognitiveServices/accounts/moving'
  assert.equal((await azure.arm('POST', '/resourceGroups/tests/moveResources', body, '2025-04-01')).status, 202)
  while ((await azure.arm('GET', path)).status !== 200);
  assert.equal((await proofOf(kept)).report.facts[0]?.fate, 'exists')
  await moving.openai.files.delete(deleted)
  assert.ok((await azure.arm('DELETE', path)).status < 300)
  while ((await azure.arm('GET', path)).status !== 404);
  const grave = `/providers/Microsoft.CognitiveServices/locations/${location}/resourceGroups/elsewhere/deletedAccounts/moving`
  assert.ok((await azure.arm('DELETE', grave)).status < 300)
  while ((await azure.arm('GET', grave)).status !== 404);
  for (const id of [deleted, kept, 'moving']) {
    const { code, report } = await proofOf(id)
    assert.deepEqual([code, report.facts.map(({ fate }) => fate)], [0, ['destroyed']], id)
    // The caller of the purge, not the service that carried it out after the answer.
    assert.equal(report.facts[0]?.by, id === deleted ? 'API key' : 'OwnKey administrator', id)
  }
})

test('R26, R28: a purged account proves the deletion of everything in it', async () => {
  const kept = await account.upload('goes with its account')
  const removed = await azure.arm('DELETE', azure.accountPath('proven'))
  assert.ok(removed.status < 300)
  while ((await azure.arm('GET', azure.accountPath('proven'))).status !== 404);
  assert.equal((await proofOf('proven')).report.facts[0]?.fate, 'softDeleted')
  const moved = await azure.armRoot('PUT', '/ownkey/clock', { advanceSeconds: 49 * 3600 })
  assert.equal(moved.status, 200)
  const purged = await proofOf('proven')
  assert.deepEqual([purged.code, purged.report.facts[0]?.by], [0, 'OwnKey administrator'])
  const { code, report } = await proofOf(kept)
  assert.deepEqual([code, report.facts[0]?.fate, report.facts[0]?.withAccount], [0, 'destroyed', true])
  // Now its account does not exist any more, but the file's own record still counts.
  assert.equal((await proofOf(file)).report.facts[0]?.withAccount, false)
})

test('R05: the same while no cloud runs, from the folder alone', async () => {
  await cloud.stop()
  const { code, report } = await proofOf(file)
  assert.deepEqual([code, report.audit.ok], [0, true])
})
