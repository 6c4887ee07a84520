import assert from 'node:assert/strict'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openHeadFile, readHeadFile } from './head-file.ts'
import { temporaryFolder } from './temporary-folder.ts'

const head = (counter: number) => ({ counter, tag: String(counter % 10).repeat(64) })

test('a head that comes late never takes the place of a newer one, and nothing is written after the end', async () => {
  const path = join(temporaryFolder(), 'records.head')
  const file = await openHeadFile(path, head(5))
  for (const counter of [6, 9, 7, 5, 9]) file.write(head(counter))
  assert.deepEqual(readHeadFile(path), head(9))
  // The slots still hold the two newest that came in their order.
  assert.deepEqual(readFileSync(path, 'latin1').match(/^\d+/gmu), ['9', '6'])
  file.close()
  file.write(head(11))
  file.close()
  assert.deepEqual(readHeadFile(path), head(9))
  assert.equal(statSync(path).mode & 0o777, 0o600)
})

test('where there is no file there is no head', () => {
  assert.equal(readHeadFile(join(temporaryFolder(), 'none')), undefined)
})
