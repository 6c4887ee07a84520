import assert from 'node:assert/strict'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeFolder } from './make-folder.ts'

test('folders are made with those above them, for several who ask at once, and the first of them is told', async t => {
  const outer = await mkdtemp(join(tmpdir(), 'ownkey-folder-'))
  t.after(() => rm(outer, { recursive: true }))
  assert.equal(await makeFolder(join(outer, 'a/b/c')), join(outer, 'a'))
  assert.equal((await stat(join(outer, 'a/b/c'))).mode & 0o777, 0o700)
  assert.equal(await makeFolder(join(outer, 'a/b/c')), undefined)
  assert.equal(await makeFolder(join(outer, 'a/b/d/')), join(outer, 'a/b/d/'))
  await Promise.all(Array.from({ length: 20 }, () => makeFolder(join(outer, 'x/y/z'))))
  await writeFile(join(outer, 'file'), '')
  await assert.rejects(makeFolder(join(outer, 'file')), { code: 'EEXIST' })
  await assert.rejects(makeFolder(join(outer, 'file/below')), { code: 'ENOTDIR' })
})

test('where a parent is there and nothing can be made in it, it ends', { timeout: 5000 }, async () => {
  await assert.rejects(makeFolder('/proc/a/b'), { code: 'ENOENT', path: '/proc/a' })
})
