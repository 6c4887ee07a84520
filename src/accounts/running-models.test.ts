import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { SealedBlobs } from '../encryption/sealed-blobs.ts'
import { ForwardedRecords } from '../store/forwarded-records.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import { put, RecordTampered, remove, type RecordStore } from '../store/records.ts'
import { SharedRecords } from '../store/shared-records.test-support.ts'
import { accounts, type Account } from './account.ts'
import { deploymentKey, deployments, type Deployment } from './deployment.ts'
import { RunningModels } from './running-models.ts'

const accountId = 'a'
const key = deploymentKey(accountId, 'chat')
const gone = { code: 'DeploymentNotFound', status: 404 }

function deploymentOf(base: string): Deployment {
  const model = { format: 'OpenAI', name: base, version: '1' }
  const createdAt = '2026-11-29T12:00:00.000Z'
  return { accountId, name: 'chat', model, sku: { name: 'Standard', capacity: 1 }, base, createdAt }
}

/** Models of an account with one deployment, whose processes load when the test says so. */
async function modelsOf(deployment: Deployment, records: RecordStore = openMemoryRecords()) {
  await records.commit([put(accounts, accountId, { accountId } as Account, 0), put(deployments, key, deployment, 0)])
  const running = new Set<string>()
  const loading = Promise.withResolvers<void>()
  const models = new RunningModels({
    records,
    blobs: {} as SealedBlobs,
    leases: { hold: async () => assert.fail('none of these stops with its key') },
    runtime: {
      async load({ base }) {
        running.add(base)
        await loading.promise
        const { promise: ended, resolve } = Promise.withResolvers<string>()
        const unload = async (): Promise<void> => {
          running.delete(base)
          resolve('ended')
        }
        return { pid: 1, ended, unload, chat: () => assert.fail(base) }
      },
    },
  })
  return { records, models, running, loading }
}

test('R28: a request that read a deployment before it or its account was deleted starts nothing', async () => {
  const deployment = deploymentOf('base')
  for (const change of [
    remove(deployments, key),
    put(accounts, accountId, { accountId, deleted: { at: 1, purgeAt: 2 } } as Account),
    remove(accounts, accountId),
  ]) {
    const { records, models, running } = await modelsOf(deployment)
    await records.commit([change])
    await assert.rejects(models.get(deployment), gone)
    assert.deepEqual([...running], [])
  }
})

test('R28: a process whose deployment is deleted while it loads ends', async () => {
  const deployment = deploymentOf('base')
  const { records, models, running, loading } = await modelsOf(deployment)
  const asked = models.get(deployment)
  while (running.size === 0) await new Promise(setImmediate)
  await records.commit([remove(deployments, key)])
  loading.resolve()
  await assert.rejects(asked, gone)
  assert.deepEqual([...running], [])
})

test('a deployment that was replaced serves its new model, though a request still asks for the former one', async () => {
  const [former, present] = [deploymentOf('former'), deploymentOf('present')]
  const { records, models, running, loading } = await modelsOf(former)
  const stale = models.get(former)
  while (running.size === 0) await new Promise(setImmediate)
  await records.commit([put(deployments, key, present)])
  const fresh = models.get(present)
  loading.resolve()
  await assert.rejects(stale, gone)
  await fresh
  assert.deepEqual([...running], ['present'])
  assert.equal(await models.get(former), await fresh)
  await models.stop(present)
  assert.deepEqual([...running], [])
})

for (const isTold of [true, false])
  test(`R28: what another process deletes or replaces ends here too, ${isTold ? 'at once where it is told' : 'also where it is not told'}`, async () => {
    const shared = new SharedRecords(openMemoryRecords())
    const other = shared.open()
    for (const change of [
      remove(deployments, key),
      put(deployments, key, { ...deploymentOf('another'), createdAt: '2026-11-29T13:00:00.000Z' }),
      put(accounts, accountId, { accountId, deleted: { at: 1, purgeAt: 2 } } as Account),
    ]) {
      await other.commit([remove(accounts, accountId), remove(deployments, key)])
      const { models, running, loading } = await modelsOf(deploymentOf('base'), shared.open())
      loading.resolve()
      await models.get(deploymentOf('base'))
      const following = isTold ? models.followOthers(error => assert.fail(String(error))) : undefined
      assert.deepEqual([...running], ['base'])
      await other.commit([change])
      if (!isTold) await models.reconcile()
      for (let looks = 0; running.size > 0 && looks < 200; looks += 1) await setTimeout(5)
      assert.deepEqual([...running], [])
      await following?.close()
    }
  })

test('R28: a deployment whose record cannot be read does not keep the process of a deleted one running', async () => {
  const [unread, deleted] = [deploymentOf('unread'), { ...deploymentOf('deleted'), name: 'other' }]
  const otherKey = deploymentKey(accountId, deleted.name)
  const records = new ForwardedRecords(openMemoryRecords())
  const { models, running, loading } = await modelsOf(unread, records)
  await records.commit([put(deployments, otherKey, deleted, 0)])
  loading.resolve()
  await Promise.all([models.get(unread), models.get(deleted)])
  await records.commit([remove(deployments, otherKey)])
  const get = records.get.bind(records)
  records.get = async (from, id) => {
    if (id === key) throw new RecordTampered(from.name, id)
    return get(from, id)
  }
  await assert.rejects(models.reconcile(), RecordTampered)
  assert.deepEqual([...running], ['unread'])
})
