import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { test } from 'node:test'

const root = resolve(import.meta.dirname, '..')
const KNOWN = Array.from({ length: 32 }, (_, index) => `R${String(index + 1).padStart(2, '0')}`)

async function cited(
  folder: string,
  isWanted: (path: string) => boolean,
  pick: (text: string) => string[],
): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  const entries = await readdir(join(root, folder), { recursive: true, withFileTypes: true })
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name)
    if (!entry.isFile() || !isWanted(path)) continue
    for (const text of pick(await readFile(path, 'utf8'))) {
      for (const [id] of text.matchAll(/\bR\d\d\b/g)) found.set(id, path)
    }
  }
  return found
}

const isTest = (path: string): boolean => path.endsWith('.test.ts')
const isSource = (path: string): boolean => /\.(ts|tsx)$/.test(path) && !isTest(path)
const titles = (text: string): string[] =>
  [...text.matchAll(/\b(?:test|it|describe|suite)\(\s*(['"`])([\s\S]*?)\1/g)].map(([, , title = '']) => title)

test('every id of the article is cited in the source and in the title of a test', async t => {
  const inSource = new Map([
    ...(await cited('src', isSource, text => [text])),
    ...(await cited('portal/src', isSource, text => [text])),
  ])
  const inTests = new Map([...(await cited('src', isTest, titles)), ...(await cited('test', isTest, titles))])
  const uncited = KNOWN.filter(id => !inSource.has(id))
  const untested = KNOWN.filter(id => !inTests.has(id))
  t.diagnostic(`not cited in src yet: ${uncited.join(' ') || 'none'}`)
  t.diagnostic(`in no test title yet: ${untested.join(' ') || 'none'}`)
  assert.deepEqual([...uncited, ...untested], [])
})

test('no id is cited that the article does not have', async () => {
  const all = new Map([
    ...(await cited(
      'src',
      () => true,
      text => [text],
    )),
    ...(await cited('test', isTest, titles)),
  ])
  assert.deepEqual(
    [...all].filter(([id]) => !KNOWN.includes(id)),
    [],
  )
})
