import assert from 'node:assert/strict'
import { copyFile, mkdir, readdir, rm, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { ownkey } from '../audit/ownkey.fixture.ts'
import { Azure } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { rowsIn, writeRows } from './folder.ts'
import { written } from './writer.fixture.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('alpha')
await account.upload('looked at')
const GONE = '0b5d3b5e-1111-4222-8333-444455556666'
const HOURS_AGO = new Date(Date.now() - 3_600_000)

async function proven(...args: string[]): Promise<{ code: number; text: string }> {
  const { code, output, errors } = await ownkey('prove', '--data-dir', cloud.dataDir, ...args)
  return { code, text: `${output}${errors}`.replaceAll(/\s+/g, ' ') }
}

/** Adds a sealed file of that age. */
async function planted(name: string, time: Date): Promise<string> {
  const blobs = join(cloud.dataDir, 'blobs')
  const paths = await readdir(blobs, { recursive: true, withFileTypes: true })
  const sealed = paths.find(entry => entry.isFile())
  assert.ok(sealed)
  const path = join(blobs, name.slice(0, 2), name)
  await mkdir(join(blobs, name.slice(0, 2)), { recursive: true, mode: 0o700 })
  await copyFile(join(sealed.parentPath, sealed.name), path)
  await utimes(path, time, time)
  return path
}

test('prove finds no sealed file or key ring that nothing names', async () => {
  const { code, text } = await proven()
  assert.equal(code, 0, text)
  assert.match(text, /yes each sealed file is named by a record, and each data key belongs to an account/)
})

test('R26: a sealed file that no record names is a contradiction, once its record can no longer come', async () => {
  const name = 'ab54f1c2-0000-4000-8000-000000000001'
  const path = await planted(name, new Date())
  const fresh = await proven()
  assert.equal(fresh.code, 0, fresh.text)
  assert.match(fresh.text, /note 1 sealed file of the last 10 minutes has no record yet/)
  await utimes(path, HOURS_AGO, HOURS_AGO)
  const { code, text } = await proven()
  assert.equal(code, 1)
  assert.match(text, new RegExp(`NO 1 sealed file is named by no record: ${name}`))
  const { leftovers } = JSON.parse((await ownkey('prove', '--data-dir', cloud.dataDir, '--format', 'json')).output)
  assert.deepEqual(leftovers.sealedFiles, [name])
  // For a single account nothing is said about the rest of the folder.
  assert.equal((await proven('--account', 'alpha')).code, 0)
  await rm(path)
  assert.equal((await proven()).code, 0)
})

test('R26: data keys and blobs of an account that is gone are a contradiction', async () => {
  await written(cloud, async folder => {
    const [row] = rowsIn(folder, 'encryption.data-keys')
    const [blob] = rowsIn(folder, 'encryption.blobs')
    assert.ok(row && blob)
    await writeRows(folder, [
      { ...row, id: `${GONE}/active/00000001`, value: { ...row.value, accountId: GONE } },
      { ...blob, id: `${GONE}/${blob.value.blobId}`, value: { ...blob.value, accountId: GONE } },
    ])
  })
  const { code, text } = await proven()
  assert.equal(code, 1)
  assert.match(text, new RegExp(`NO encryption\\.data-keys, encryption\\.blobs of 1 account that is gone: ${GONE}`))
})
