import assert from 'node:assert/strict'
import { access, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { MUTATIONS } from '../../scripts/mutations.ts'

const root = resolve(import.meta.dirname, '../..')

test('each check that `npm run mutate` takes out stands in its file exactly once, and its tests are there', async () => {
  const wrong: string[] = []
  for (const { without, file, text, replacement, test: tests } of MUTATIONS) {
    const times = (await readFile(join(root, file), 'utf8')).split(text).length - 1
    if (times !== 1) wrong.push(`${without}: ${times} times in ${file}`)
    if (text === replacement) wrong.push(`${without}: changes nothing`)
    await access(join(root, tests)).catch(() => wrong.push(`${without}: there is no ${tests}`))
  }
  assert.deepEqual(wrong, [])
  assert.equal(new Set(MUTATIONS.map(({ without }) => without)).size, MUTATIONS.length)
})
