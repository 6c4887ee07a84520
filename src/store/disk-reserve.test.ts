import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openDiskReserve, type DiskReserve } from './disk-reserve.ts'
import { temporaryFolder } from './temporary-folder.ts'

const MIB = 1024 * 1024

/** Takes until there is nothing left. */
function taken(reserve: DiskReserve, last: boolean): number {
  let times = 0
  while (reserve.release(last)) times += 1
  return times
}

test('half of the reserve is for deletions alone: everything else gets the other half, in parts, and the last part is for starts', () => {
  const folder = temporaryFolder()
  const path = join(folder, 'reserve')
  const reserve = openDiskReserve(path, folder)
  assert.ok(reserve.isWhole)
  assert.equal(statSync(path).size, 8 * MIB)
  assert.equal(taken(reserve, false), 8)
  assert.equal(statSync(path).size, 4 * MIB)
  assert.equal(reserve.isWhole, false)
  assert.equal(taken(reserve, true), 7)
  assert.equal(statSync(path).size, MIB / 2)
  assert.equal(taken(reserve, false), 0)
  reserve.close()
})

test('a reserve that was used is filled again by the next process that opens it, if there is space', () => {
  const folder = temporaryFolder()
  const path = join(folder, 'reserve')
  const first = openDiskReserve(path, folder)
  taken(first, true)
  first.close()
  const next = openDiskReserve(path, folder)
  assert.ok(next.isWhole)
  assert.equal(statSync(path).size, 8 * MIB)
  next.close()
})
