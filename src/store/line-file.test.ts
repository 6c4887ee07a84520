import assert from 'node:assert/strict'
import { appendFile, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { appendLines } from './line-file.ts'
import { temporaryFolder } from './temporary-folder.ts'

const line = (sequence: number) => ({ sequence, text: JSON.stringify({ sequence, text: 'ä'.repeat(sequence) }) })

test('only lines that are missing or cut off are written', async () => {
  const folder = temporaryFolder()
  const path = join(folder, 'a', 'b', 'lines.json')
  await appendLines(path, [line(3), line(5)])
  await appendLines(path, [line(3), line(5), line(9)])
  await appendFile(path, line(10).text.slice(0, -3))
  await appendLines(path, [line(9), line(10), line(11)])
  assert.equal(await readFile(path, 'utf8'), [3, 5, 9, 10, 11].map(number => `${line(number).text}\n`).join(''))
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  assert.equal((await stat(join(folder, 'a'))).mode & 0o777, 0o700)
})
