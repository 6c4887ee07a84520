import assert from 'node:assert/strict'
import { access, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { test } from 'node:test'

const root = resolve(import.meta.dirname, '../..')
const security = await readFile(join(root, 'SECURITY.md'), 'utf8')

test('every promise under "What holds" in SECURITY.md names a test, and every file that the page names is there', async () => {
  const holds = security.split('\n## ').find(part => part.startsWith('What holds\n')) ?? ''
  const promises = holds.split('\n- ').slice(1)
  assert.ok(promises.length > 10)
  assert.deepEqual(
    promises.filter(promise => !promise.includes('.test.ts)')),
    [],
  )
  const missing: string[] = []
  for (const [, path = ''] of security.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g))
    await access(join(root, path)).catch(() => missing.push(path))
  assert.deepEqual(missing, [])
})
