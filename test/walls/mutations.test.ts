import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { MUTATIONS } from '../../scripts/mutations.ts'

const root = resolve(import.meta.dirname, '../..')

test('each check that `npm run mutate` takes out stands in its file exactly once, and its tests are there by their titles', async () => {
  const wrong: string[] = []
  for (const { without, file, text, replacement, test: tests, title = '' } of MUTATIONS) {
    const times = (await readFile(join(root, file), 'utf8')).split(text).length - 1
    if (times !== 1) wrong.push(`${without}: ${times} times in ${file}`)
    if (text === replacement) wrong.push(`${without}: changes nothing`)
    const tested = await readFile(join(root, tests), 'utf8').catch(() => undefined)
    if (tested === undefined) wrong.push(`${without}: there is no ${tests}`)
    else if (!tested.includes(title)) wrong.push(`${without}: no test of ${tests} is called ${title}`)
  }
  assert.deepEqual(wrong, [])
  assert.equal(new Set(MUTATIONS.map(({ without }) => without)).size, MUTATIONS.length)
})

/** Modules whose faults would help an attacker or a bad disk. Each has mutations. */
const COVERED = ['src/crypto/', 'src/encryption/', 'src/keyvault/access', 'src/keyvault/firewall', 'src/store/']

test('there are at least sixty, and some for each module that keeps secrets', () => {
  assert.ok(MUTATIONS.length >= 60, String(MUTATIONS.length))
  for (const start of COVERED)
    assert.ok(
      MUTATIONS.some(({ file }) => file.startsWith(start)),
      start,
    )
})

test('a mutation that no test catches says why, and is not about a rule of the article', async () => {
  for (const { without, file, text, survives } of MUTATIONS) {
    if (survives === undefined) continue
    assert.ok(survives.length > 20, without)
    const [before = '', after = ''] = (await readFile(join(root, file), 'utf8')).split(text)
    // Its own lines, and the comment above them.
    const around = [...before.split('\n').slice(-4), text, after.split('\n', 1)[0]].join('\n')
    assert.doesNotMatch(`${without} ${survives} ${around}`, /\bR\d\d\b/, without)
  }
})
