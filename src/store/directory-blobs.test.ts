import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { blobStoreConforms } from './blob-store-conformance.ts'
import { openDirectoryBlobs } from './directory-blobs.ts'
import { openQuarantine } from './quarantine.ts'
import { temporaryFolder } from './temporary-folder.ts'

const folder = temporaryFolder()
let stores = 0

function newFolder(): string {
  stores += 1
  return join(folder, String(stores), 'blobs')
}

async function* bytes(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text)
}

blobStoreConforms('directory', async () => openDirectoryBlobs(newFolder()))

test('only their owner can read blobs and their folders', async () => {
  const path = newFolder()
  const blobs = await openDirectoryBlobs(path)
  await blobs.create('abcd', bytes('x'))
  assert.equal(statSync(path).mode & 0o777, 0o700)
  assert.equal(statSync(join(path, 'ab')).mode & 0o777, 0o700)
  assert.equal(statSync(join(path, 'ab', 'abcd')).mode & 0o777, 0o600)
})

test('opening removes half-written files', async () => {
  const path = newFolder()
  await (await openDirectoryBlobs(path)).create('abcd', bytes('x'))
  writeFileSync(join(path, 'incoming', 'half'), 'half')
  mkdirSync(join(path, 'lost+found'))
  writeFileSync(join(path, 'ab', 'README.txt'), 'not ours')
  writeFileSync(join(path, 'ab', 'elsewhere'), 'in the wrong folder')
  const blobs = await openDirectoryBlobs(path)
  assert.deepEqual(readdirSync(join(path, 'incoming')), [])
  assert.deepEqual(await Array.fromAsync(blobs.list()), ['abcd'])
})

test(
  "on a separate disk, a folder that only the system's administrator may read is skipped",
  { skip: process.getuid?.() === 0 ? false : 'only root can make such a folder' },
  async () => {
    const path = newFolder()
    await (await openDirectoryBlobs(path)).create('abcd', bytes('x'))
    mkdirSync(join(path, 'lost+found'), { mode: 0o700 })
    const nobody = 65_534
    chmodSync(folder, 0o755)
    for (const name of ['..', '.', 'ab', 'ab/abcd', 'incoming']) chownSync(join(path, name), nobody, nobody)
    const looks = `import { blobFiles, syncBlobFolders } from '${new URL('blob-files.ts', import.meta.url).href}'
      process.setuid(${nobody})
      await syncBlobFolders('${path}')
      process.stdout.write(JSON.stringify(await blobFiles('${path}')))`
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', looks], { encoding: 'utf8' })
    assert.equal(stdout, '{"ids":["abcd"],"strays":[]}', stderr)
  },
)

test('a blob appears under its name only when it is whole', async () => {
  const path = newFolder()
  const blobs = await openDirectoryBlobs(path)
  async function* watched() {
    yield Buffer.alloc(1000)
    assert.ok(!existsSync(join(path, 'ab', 'abcd')))
    assert.equal(await blobs.open('abcd'), undefined)
    yield Buffer.alloc(1000)
  }
  assert.equal(await blobs.create('abcd', watched()), 2000)
  assert.equal(statSync(join(path, 'ab', 'abcd')).size, 2000)
})

test('a write that fails leaves nothing', async () => {
  const path = newFolder()
  const blobs = await openDirectoryBlobs(path)
  async function* broken() {
    yield Buffer.alloc(10)
    yield 7 as unknown as Buffer
    yield Buffer.alloc(10)
  }
  await assert.rejects(blobs.create('abcd', broken()))
  assert.deepEqual(readdirSync(join(path, 'incoming')), [])
})

test('a blob in quarantine is not in the store, comes back on demand, and is deleted after its time', async () => {
  const path = newFolder()
  const blobs = await openDirectoryBlobs(path)
  for (const id of ['kept', 'orphan-1', 'orphan-2']) await blobs.create(id, bytes(id))
  const quarantine = openQuarantine(path)
  await quarantine.take('orphan-1', '2026-01-01')
  await quarantine.take('orphan-2', '2026-01-02')
  const again = openQuarantine(path)
  assert.deepEqual(Object.fromEntries(await again.list()), { '2026-01-01': ['orphan-1'], '2026-01-02': ['orphan-2'] })
  assert.deepEqual(await Array.fromAsync(blobs.list()), ['kept'])
  assert.equal(await again.find('orphan-2', async () => false), undefined)
  assert.equal(await again.find('orphan-3', async () => true), undefined)
  const place = await again.find('orphan-2', async () => true)
  await again.giveBack('orphan-2', place ?? '')
  assert.equal((await blobs.open('orphan-2'))?.size, 'orphan-2'.length)
  assert.deepEqual(await again.deleteBefore('2026-01-01'), { deleted: 0, kept: [] })
  assert.deepEqual(await again.deleteBefore('2026-01-02'), { deleted: 1, kept: [] })
  assert.deepEqual(Object.fromEntries(await again.list()), { '2026-01-02': [] })
})

test('of blobs of one name that are set aside none takes the place of another, and the newest is found first', async () => {
  const path = newFolder()
  const blobs = await openDirectoryBlobs(path)
  const quarantine = openQuarantine(path)
  for (const [text, day] of [
    ['first', '2026-01-01'],
    ['second', '2026-01-01'],
    ['third', '2026-01-02'],
    ['fourth', '2026-01-01'],
  ] as const) {
    await blobs.create('again', bytes(text))
    await quarantine.take('again', day)
  }
  assert.deepEqual([...(await quarantine.list()).keys()], ['2026-01-01', '2026-01-01.2', '2026-01-01.3', '2026-01-02'])
  const seen: string[] = []
  await quarantine.find('again', async place => {
    seen.push(readFileSync(place, 'utf8'))
    return false
  })
  assert.deepEqual(seen, ['third', 'fourth', 'second', 'first'])
  assert.deepEqual(await quarantine.deleteBefore('2026-01-02'), { deleted: 3, kept: [] })
})
