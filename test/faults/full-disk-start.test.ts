import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { auditRecords, ownkey } from '../audit/ownkey.fixture.ts'
import { Azure, untilAllowed } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { noSmallDisk } from '../support/small-machine.ts'
import { smallDisk } from './small-disk.ts'

const disk = smallDisk({ after }, 64)
const second = smallDisk({ after }, 96)

/** A cloud whose data folder lies on that disk. */
async function cloudOn(on: typeof disk): Promise<Awaited<ReturnType<typeof cloudFor>>> {
  const before = process.env['TMPDIR']
  process.env['TMPDIR'] = on?.folder
  try {
    return await cloudFor({ after })
  } finally {
    if (before === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = before
  }
}

test(
  'a cloud that ended on a full disk starts on it, serves and deletes',
  {
    skip: noSmallDisk,
  },
  async () => {
    const cloud = await cloudOn(disk)
    const account = await (await Azure.in(cloud.endpoints)).account('crowded')
    account.openai.maxRetries = 0
    const [kept, gone] = [await account.upload('kept'), await account.upload('gone')]
    // The leftovers of an upload that a kill broke off.
    await mkdir(join(cloud.dataDir, 'blobs/zz'), { recursive: true, mode: 0o700 })
    await writeFile(join(cloud.dataDir, 'blobs/zz/zz-orphan'), 'x')
    await disk?.fill()
    await cloud.kill()
    const verified = await ownkey('verify', '--whole', '--data-dir', cloud.dataDir)
    assert.equal(verified.code, 0, `${verified.output}${verified.errors}`)
    for (let times = 0; times < 2; times += 1) {
      await cloud.restart('kill')
      await disk?.fill()
    }
    assert.match((await account.download(kept)).toString(), /kept/)
    assert.equal((await account.openai.files.delete(gone)).deleted, true)
    await assert.rejects(account.upload('no room'), { status: 507 })
    await disk?.makeRoom()
    await untilAllowed(() => account.upload('room again'), 15)
    const records = await auditRecords(cloud.dataDir)
    assert.ok(records.some(({ operationName }) => operationName === 'OwnKey/blobs/quarantined'))
  },
)

test(
  'a job and a re-encryption that ran when the disk was full and the process ended go on when there is room',
  { skip: noSmallDisk },
  async () => {
    const cloud = await cloudOn(second)
    const azure = await Azure.in(cloud.endpoints)
    const account = await azure.account('working')
    account.openai.maxRetries = 0
    const data = await account.upload('trained')
    const kept = await account.upload('kept', 'big.jsonl', 3000)
    const job = await account.train(data, { hyperparameters: { n_epochs: 20 } })
    await account.jobIs(job, ['running'])
    const path = `${azure.accountPath(account.name)}/reEncrypt`
    assert.equal((await azure.arm('POST', path)).status, 202)
    await second?.fill()
    await cloud.kill()
    for (let times = 0; times < 2; times += 1) {
      await cloud.restart('kill')
      await second?.fill()
      assert.match((await account.download(kept)).toString(), /kept/)
      assert.equal((await account.openai.files.list()).data.length, 2)
    }
    await second?.makeRoom()
    assert.equal((await account.jobIs(job, ['succeeded', 'failed'])).status, 'succeeded')
    for (const file of [data, kept]) assert.ok((await account.download(file)).length > 0)
    await untilAllowed(async () => assert.equal((await azure.arm('POST', path)).status, 202), 60)
  },
)
