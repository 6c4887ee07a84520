import assert from 'node:assert/strict'
import { truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { ownkey } from '../audit/ownkey.fixture.ts'
import { Azure, refusal, untilAllowed } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { noSmallDisk } from '../support/small-machine.ts'
import { smallDisk } from './small-disk.ts'

const before = process.env['TMPDIR']
const disk = smallDisk({ after }, 64)

test(
  'a disk that others fill after each deletion: a file is gone or the answer is 507, a start works or says why not, and with room the rest is deleted',
  { skip: noSmallDisk },
  async () => {
    process.env['TMPDIR'] = disk?.folder
    const cloud = await cloudFor({ after })
    if (before === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = before
    const account = await (await Azure.in(cloud.endpoints)).account('crowded')
    account.openai.maxRetries = 0
    const files: string[] = []
    for (let n = 0; n < 24; n += 1) files.push(await account.upload(`file ${n}`))
    await disk?.fill()
    const left: string[] = []
    for (const file of files) {
      const refused = await refusal(() => account.openai.files.delete(file))
      const isThere = (await refusal(() => account.openai.files.retrieve(file))) === undefined
      assert.equal(refused?.status, isThere ? 507 : undefined, refused?.message)
      if (isThere) left.push(file)
      await disk?.fill()
    }
    assert.ok(left.length > 0 && left.length < 16, String(left.length))
    await cloud.restart('kill')
    assert.equal((await account.openai.files.list()).data.length, left.length)
    await cloud.kill()
    await truncate(join(cloud.dataDir, 'records.db-reserve'))
    await disk?.fill()
    const { errors } = await ownkey('start', '--data-dir', cloud.dataDir)
    assert.match(errors.replaceAll(/\s+/g, ' '), /the disk is full. Make room on it first/)
    await disk?.makeRoom()
    await cloud.restart('kill')
    for (const file of left) await untilAllowed(() => account.openai.files.delete(file), 15)
    await untilAllowed(() => account.upload('room again'), 15)
    const { code, output } = await ownkey('prove', '--data-dir', cloud.dataDir)
    assert.equal(code, 0, output)
  },
)
