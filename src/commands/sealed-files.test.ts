import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { sealedFilesOf } from './sealed-files.ts'
import { temporaryFolder } from '../store/temporary-folder.ts'

test('sealed files of every generation are found, also in the quarantine and in a snapshot', async () => {
  const dataDir = temporaryFolder()
  const lie = (path: string): void => {
    mkdirSync(join(dataDir, path, '..'), { recursive: true })
    writeFileSync(join(dataDir, path), '')
  }
  const [own, others] = [
    [
      'blobs/aa/aa-1',
      'blobs/aa/aa-1-g2',
      'blobs/aa/aa-1-g3-0123abcd',
      'blobs/quarantine/2026-01-01/aa-1',
      'snapshot/blobs/aa/aa-1',
    ],
    ['blobs/aa/aa-12', 'blobs/aa/aa-1-gone', 'blobs/lost+found/aa-1'],
  ]
  for (const path of [...own, ...others]) lie(path)
  assert.deepEqual((await sealedFilesOf(dataDir, 'aa-1')).toSorted(), own)
})

test('a folder that is removed during the search does not hide the others', async () => {
  const dataDir = temporaryFolder()
  for (const name of ['aa', 'zz']) mkdirSync(join(dataDir, 'blobs', name), { recursive: true })
  writeFileSync(join(dataDir, 'blobs/zz/zz-1'), '')
  const looking = new AbortController()
  const churn = (async () => {
    for (let n = 0; !looking.signal.aborted; n = (n + 1) % 40) {
      const folder = join(dataDir, 'blobs/quarantine', String(n))
      mkdirSync(folder, { recursive: true })
      await new Promise(setImmediate)
      rmSync(join(dataDir, 'blobs/quarantine'), { recursive: true })
    }
  })()
  for (let times = 0; times < 300; times++) assert.deepEqual(await sealedFilesOf(dataDir, 'zz-1'), ['blobs/zz/zz-1'])
  looking.abort()
  await churn
})
