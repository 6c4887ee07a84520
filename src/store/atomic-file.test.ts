import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeFileAtomically } from './atomic-file.ts'
import { temporaryFolder } from './temporary-folder.ts'

const folder = temporaryFolder()

test("a file is replaced as a whole, and is its owner's alone unless told otherwise", async () => {
  const path = join(folder, 'settings.json')
  await writeFileAtomically(path, 'one')
  assert.equal(statSync(path).mode & 0o777, 0o600)
  await writeFileAtomically(path, Buffer.from('two'), 0o666)
  assert.equal(readFileSync(path, 'utf8'), 'two')
  assert.equal(statSync(path).mode & 0o777, 0o666)
  assert.deepEqual(readdirSync(folder), ['settings.json'])
})

test('a failed replacement leaves the old state and no temporary file', async () => {
  const occupied = join(folder, 'occupied')
  mkdirSync(join(occupied, 'inside'), { recursive: true })
  await assert.rejects(writeFileAtomically(occupied, 'x'))
  assert.deepEqual(readdirSync(folder).sort(), ['occupied', 'settings.json'])
})
