import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { mock, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemEnv } from '../base/env.ts'
import { AzureError } from '../http/errors.ts'
import { openDirectoryBlobs } from '../store/directory-blobs.ts'
import { holdable } from '../store/held-blobs.ts'
import { collection, put } from '../store/records.ts'
import { openSqliteRecords } from '../store/sqlite-records.ts'
import { temporaryFolder } from '../store/temporary-folder.ts'
import { Snapshots } from './snapshots.ts'

async function* bytes(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('sealed')
}

async function opened() {
  const dataDir = temporaryFolder()
  const records = await openSqliteRecords(join(dataDir, 'records.db'))
  const blobs = holdable(await openDirectoryBlobs(join(dataDir, 'blobs')))
  const said: object[] = []
  const snapshots = new Snapshots({ dataDir, records, blobs, env: systemEnv, log: line => said.push(line) })
  return { dataDir, records, blobs, snapshots, said, folder: join(dataDir, 'snapshot') }
}

test('a snapshot has the records of its moment and a link to each blob, also to those that are deleted afterwards', async () => {
  const { records, blobs, snapshots, folder, dataDir } = await opened()
  await records.commit([put(collection('things'), 'one', { n: 1 })])
  await blobs.create('aa-1', bytes())
  const { id, linked } = await snapshots.begin()
  assert.equal(linked, true)
  await records.commit([put(collection('things'), 'two', { n: 2 })])
  await blobs.remove('aa-1')
  assert.deepEqual(readdirSync(join(dataDir, 'blobs/aa')), [], 'links hold it: the folder itself need not')
  assert.deepEqual(readdirSync(join(folder, 'blobs/aa')), ['aa-1'])
  const copy = await openSqliteRecords(join(folder, 'records.db'))
  assert.equal(await copy.count(collection('things')), 1)
  await copy.close()
  await snapshots.end(id)
  assert.equal(existsSync(folder), false)
  await records.close()
})

test('there is one snapshot at a time, which is removed when it is not renewed for a minute', async () => {
  const { records, snapshots, folder, said } = await opened()
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    const { id } = await snapshots.begin()
    await assert.rejects(snapshots.begin(), (error: AzureError) => error.status === 409)
    mock.timers.tick(59_000)
    snapshots.renew(id)
    mock.timers.tick(59_000)
    assert.equal(existsSync(folder), true)
    mock.timers.tick(1001)
  } finally {
    mock.timers.reset()
  }
  for (let looks = 0; existsSync(folder) && looks < 200; looks++) await sleep(10)
  assert.equal(existsSync(folder), false)
  assert.equal(said.length, 1)
  assert.throws(
    () => snapshots.renew('x'),
    (error: AzureError) => error.status === 404,
  )
  const next = await snapshots.begin()
  await snapshots.close()
  await assert.rejects(snapshots.end(next.id), (error: AzureError) => error.status === 404)
  await records.close()
})

test('a snapshot begins only when the one before is removed', async () => {
  const { records, blobs, snapshots, folder } = await opened()
  await blobs.create('aa-1', bytes())
  const { id } = await snapshots.begin()
  const ending = snapshots.end(id)
  const next = Promise.allSettled([snapshots.begin(), snapshots.begin()])
  await assert.rejects(snapshots.end(id), (error: AzureError) => error.status === 404)
  await ending
  assert.deepEqual((await next).map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'])
  assert.deepEqual(readdirSync(join(folder, 'blobs/aa')), ['aa-1'])
  await snapshots.close()
  await records.close()
})

test('a snapshot that can not be made leaves nothing behind', async () => {
  const { records, blobs, snapshots, folder, dataDir } = await opened()
  await blobs.create('aa-1', bytes())
  await records.close()
  await assert.rejects(snapshots.begin())
  assert.equal(existsSync(folder), false)
  await blobs.remove('aa-1')
  assert.deepEqual(readdirSync(join(dataDir, 'blobs/aa')), [])
})
