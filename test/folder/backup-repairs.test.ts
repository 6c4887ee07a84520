import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { ownkey } from '../audit/ownkey.fixture.ts'
import { folderFor } from '../cli/command-line.fixture.ts'
import { Azure } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after })
const account = await (await Azure.in(cloud.endpoints)).account('repairs')
for (const text of ['one', 'two', 'three']) await account.upload(text)
await cloud.stop()
const { dataDir } = cloud

async function blobsIn(folder: string): Promise<string[]> {
  const entries = await readdir(join(folder, 'blobs'), { recursive: true, withFileTypes: true })
  return entries.filter(entry => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name))
}

async function backup(target: string) {
  const { code, output, errors } = await ownkey('backup', dataDir, target, '--format', 'json')
  return { code, errors, report: output === '' ? undefined : JSON.parse(output) }
}

const inOther = (path: string, folder: string): string => join(folder, path.slice(path.lastIndexOf('/blobs/')))

test('a backup that only fails to remove what it no longer needs is still whole', async t => {
  const folder = await folderFor(t)
  const target = join(folder, 'backup')
  assert.equal((await backup(target)).code, 0)
  const [blob = ''] = await blobsIn(target)
  // It looks like a copy that was broken off, but can't be removed.
  await mkdir(join(dirname(blob), '.broken.tmp'))
  const { code, errors } = await backup(target)
  assert.equal(code, 1)
  const { state } = JSON.parse(await readFile(join(target, 'backup.json'), 'utf8'))
  assert.ok((await stat(join(target, state, 'records.db'))).size > 0)
  assert.match(errors.replaceAll(/\s+/g, ' '), /The backup is whole, but/)
  const said = await ownkey('restore', target, join(folder, 'restored'), '--root-key', join(dataDir, 'root.key'))
  assert.equal(said.code, 0, said.errors)
})

test('a blob that is cut or another one in a backup is replaced, though its name is right', async t => {
  const target = join(await folderFor(t), 'backup')
  assert.equal((await backup(target)).code, 0)
  const [cut = '', other = ''] = await blobsIn(target)
  // They are links to the data folder's own.
  for (const path of [cut, other]) {
    const bytes = await readFile(path)
    await rm(path)
    await writeFile(path, bytes)
  }
  await truncate(cut, 10)
  const bytes = await readFile(other)
  bytes.fill(7, 40, 60)
  await writeFile(other, bytes)
  const { code, errors, report } = await backup(target)
  assert.equal(code, 0, errors)
  assert.deepEqual([report.problems, report.linked + report.copied], [[], 2])
  for (const path of [cut, other]) assert.deepEqual(await readFile(path), await readFile(inOther(path, dataDir)))
})

test('a blob that can not be read does not keep others out of a backup', async t => {
  const folder = await folderFor(t)
  const target = join(folder, 'backup')
  const [unreadable = '', swapped = ''] = await blobsIn(dataDir)
  const kept = await Promise.all([unreadable, swapped].map(async path => [path, await readFile(path)] as const))
  t.after(async () => {
    for (const [path, bytes] of kept) {
      await rm(path)
      await writeFile(path, bytes, { mode: 0o600 })
    }
  })
  await rm(unreadable)
  await symlink(unreadable, unreadable)
  const bytes = await readFile(swapped)
  bytes.fill(7, 40, 60)
  await rm(swapped)
  await writeFile(swapped, bytes)
  const { code, errors, report } = await backup(target)
  assert.equal(code, 1, errors)
  assert.equal(report?.problems.length, 2, errors)
  assert.match(report.problems.join(), /can't be read.*|is not the one/)
  assert.equal(report.linked + report.copied, 1)
  const verified = await ownkey('verify', '--data-dir', dataDir, '--format', 'json')
  assert.equal(verified.code, 1, verified.errors)
  const { problems } = JSON.parse(verified.output)
  assert.match(problems.join('\n'), /its file can't be read: /)
  assert.match(problems.join('\n'), /the header of its file is not the recorded one/)
})

test('a backup of a folder that went back does not replace a newer one', async t => {
  const folder = await folderFor(t)
  const [older, newer, back] = [join(folder, 'older'), join(folder, 'newer'), join(folder, 'back')]
  assert.equal((await backup(older)).code, 0)
  const rootKey = join(dataDir, 'root.key')
  assert.equal((await ownkey('restore', older, join(folder, 'one'), '--root-key', rootKey)).code, 0)
  assert.equal((await ownkey('restore', older, back, '--root-key', rootKey)).code, 0)
  // Both went on independently.
  assert.equal((await ownkey('backup', join(folder, 'one'), newer)).code, 0)
  const manifest = await readFile(join(newer, 'backup.json'), 'utf8')
  const refused = await ownkey('backup', back, newer)
  assert.equal(refused.code, 1)
  assert.match(refused.errors.replaceAll(/\s+/g, ' '), /is of another or a later state.*Name another folder/)
  assert.equal(await readFile(join(newer, 'backup.json'), 'utf8'), manifest)
  assert.equal((await readdir(newer)).filter(name => name.startsWith('state-')).length, 1)
  assert.equal((await ownkey('backup', back, older)).code, 0, 'it goes on where it came from')
})
