import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { compareBlobs } from './blob-inventory.ts'
import type { AuditLog } from '../store/audit-log.ts'
import { openDirectoryBlobs } from '../store/directory-blobs.ts'
import { openQuarantine } from '../store/quarantine.ts'
import { temporaryFolder } from '../store/temporary-folder.ts'

const DAY_MS = 86_400_000
const today = Date.parse('2026-06-15T12:00:00Z')

async function* bytes(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text)
}

async function opened() {
  const folder = join(temporaryFolder(), 'blobs')
  const blobs = await openDirectoryBlobs(folder)
  const audit: Pick<AuditLog, 'append'> = { append: async () => [] }
  return {
    folder,
    blobs,
    /** A start at this time of the clock, after a last record of that time. */
    start: async (now: number, last: number, records: Readonly<Record<string, string>> = {}) => {
      const referenced = new Map(
        Object.entries(records).map(([id, text]) => [
          id,
          { storedSize: text.length, header: Buffer.from(text).toString('base64') },
        ]),
      )
      const given = { blobs, quarantine: openQuarantine(folder), referenced, folder, audit }
      const log: string[] = []
      await compareBlobs({ ...given, accept: false, log: line => log.push(JSON.stringify(line)), now, last })
      return log.join('\n')
    },
    set: () =>
      readdirSync(join(folder, 'quarantine'), { recursive: true })
        .map(String)
        .filter(name => name.includes('/')),
  }
}

test('a blob without a record is kept for its days, whatever a wrong clock says at one start', async () => {
  const { blobs, start, set } = await opened()
  await blobs.create('orphan', bytes('x'))
  // A machine without a battery is in 1970 until it has asked for the time.
  await start(0, today)
  await start(today, today)
  assert.equal(set().length, 1, 'it was set aside under a day that was long ago')
  await start(today + 1000 * DAY_MS, today)
  assert.equal(set().length, 1, 'a clock that runs ahead made it old')
  await start(today + 9 * DAY_MS, today + 9 * DAY_MS)
  assert.deepEqual(set(), [])
})

test('of several blobs with one name all are kept, and the one of the record comes back', async () => {
  const { folder, blobs, start, set } = await opened()
  for (const text of ['first', 'second', 'third']) {
    await blobs.create('same-g2', bytes(text))
    await start(today, today)
  }
  const texts = set().map(name => readFileSync(join(folder, 'quarantine', name), 'utf8'))
  assert.deepEqual(texts.toSorted(), ['first', 'second', 'third'])
  await start(today, today, { 'same-g2': 'second' })
  assert.equal(readFileSync(join(folder, 'sa', 'same-g2'), 'utf8'), 'second')
  assert.equal(set().length, 2)
})

test('a start that is refused has not moved any blob', async () => {
  const { blobs, start, set } = await opened()
  await blobs.create('found', bytes('found'))
  await start(today, today)
  const before = set()
  await assert.rejects(start(today, today, { found: 'found', lost: 'x', gone: 'y', away: 'z' }), /Nothing was changed/)
  assert.deepEqual(set(), before)
})

test('what the disk keeps of the quarantine neither prevents a start nor holds up the rest', async () => {
  const { folder, start, set } = await opened()
  const day = join(folder, 'quarantine/2026-01-01')
  mkdirSync(join(day, 'kept'), { recursive: true })
  for (const id of ['before', 'later']) writeFileSync(join(day, id), 'x')
  writeFileSync(join(folder, 'quarantine/2026-01-02'), 'a file under the name of a day')
  const log = await start(today, today)
  assert.deepEqual(set(), ['2026-01-01/kept'])
  assert.match(log, /quarantine that are due can't be deleted: 1\..*were deleted: 2\./su)
})
