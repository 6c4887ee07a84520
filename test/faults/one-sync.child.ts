import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeFileAtomically } from '../../src/store/atomic-file.ts'
import { openDirectoryBlobs } from '../../src/store/directory-blobs.ts'
import { appendLines } from '../../src/store/line-file.ts'
import { collection, put, remove } from '../../src/store/records.ts'
import { openSqliteRecords } from '../../src/store/sqlite-records.ts'

const [what = '', folder = '', number = '1'] = process.argv.slice(2)
const things = collection<string>('things')

async function* bytes(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('sealed')
}

/** Each gets ready, and answers what is then tried. */
const ATTEMPTS: Readonly<Record<string, () => Promise<() => Promise<unknown>>>> = {
  file: async () => () => writeFileAtomically(join(folder, 'file'), 'content'),
  lines: async () => () => appendLines(join(folder, 'lines'), [{ sequence: 1, text: '{"sequence":1}' }]),
  blob: async () => {
    const blobs = await openDirectoryBlobs(join(folder, 'blobs'))
    return () => blobs.create('aa-1', bytes())
  },
  removal: async () => {
    const blobs = await openDirectoryBlobs(join(folder, 'blobs'))
    await blobs.create('aa-1', bytes())
    return () => blobs.remove('aa-1')
  },
  commit: async () => {
    const records = await openSqliteRecords(join(folder, 'records.db'))
    // SQLite itself syncs the header of a new log.
    await records.commit([put(things, 'a', 'old')])
    return () => records.commit([put(things, 'a', 'new')])
  },
  shred: async () => {
    const records = await openSqliteRecords(join(folder, 'records.db'))
    await records.commit([put(things, 'a', 'x'.repeat(10_000)), put(things, 'b', 'y')])
    return () => records.commit([remove(things, 'a')], { shred: true })
  },
}

const attempt = await ATTEMPTS[what]?.()
// EIO, once. From now on, since getting ready syncs too.
writeFileSync(process.env['OWNKEY_TEST_FAULTS'] ?? '', `sync ${folder} 5 ${number} 1\n`)
const outcome = await attempt?.().then(
  () => 'done',
  (error: Error) => error.name,
)
process.stdout.write(String(outcome))
// Without closing anything: that syncs as well.
process.exit(0)
