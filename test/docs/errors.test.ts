import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { BESIDE, errorsPage, isOf, PLANES, statusesOf } from '../../scripts/errors-page.ts'
import { ELSEWHERE, saidIn, sources } from '../../scripts/said-codes.ts'
import { AADSTS } from '../../src/entra/aadsts.ts'
import { root } from './blocks.ts'

const files = await sources()
const said = saidIn(files)
const known = new Set(PLANES.flatMap(({ list }) => Object.keys(list)))

/** Whether a text has this code in quotes, or a template that makes it. */
function says(text: string, code: string): boolean {
  const templates = Array.from(text.matchAll(/`([^`\n]+)`/g), ([, template = '']) => template)
  const gives = (template: string): boolean =>
    template.includes('_') && new RegExp(`^${template.replaceAll(/\$\{[^}]*\}/g, '[a-z_]+')}$`).test(code)
  return text.includes(`'${code}'`) || templates.some(gives)
}

test('docs/errors.md is what the lists and the source say today: npm run docs', async () => {
  assert.equal(await readFile(join(root, 'docs/errors.md'), 'utf8'), errorsPage(said))
})

test('every code of a plane is answered by a file of that plane, with a status', () => {
  const dead = PLANES.flatMap(plane =>
    Object.keys(plane.list)
      .filter(code => statusesOf(plane, code, said).length === 0)
      .map(code => `${plane.title}: ${code}`),
  )
  assert.deepEqual(dead, [])
})

test('a file answers only with codes of the planes that it belongs to', () => {
  const strange = said.filter(one => known.has(one.code) && !PLANES.some(plane => isOf(plane, one)))
  assert.deepEqual(
    strange.map(({ path, code }) => `${path}: ${code}`),
    [],
  )
})

test('a file still has what the table says about it', () => {
  const stale = Object.entries(ELSEWHERE).flatMap(([path, codes]) =>
    Object.keys(codes)
      .filter(code => !says(files.get(path) ?? '', code))
      .map(code => `${path}: ${code}`),
  )
  assert.deepEqual(stale, [])
})

test('every inner code, detail and AADSTS number is said somewhere', () => {
  // These only list all of them.
  const lists = new Set(['src/encryption/key-unavailable.ts', 'src/engines/engine.ts'])
  const texts = [...files].filter(([path]) => !lists.has(path)).map(([, text]) => text)
  const dead = BESIDE.flatMap(({ title, list }) =>
    Object.keys(list)
      .filter(code => !texts.some(text => text.includes(`'${code}'`) || new RegExp(`['\`]${code}\\|`).test(text)))
      .map(code => `${title}: ${code}`),
  )
  const entra = [...files]
    .filter(([path]) => path.startsWith('src/entra/'))
    .map(([, text]) => text.replaceAll(/(?<=\d)_(?=\d)/g, '').replace(/^export const AADSTS = \{[\s\S]*?^\}/m, ''))
  const silent = Object.keys(AADSTS).filter(number => !entra.some(text => new RegExp(`\\b${number}\\b`).test(text)))
  assert.deepEqual([...dead, ...silent], [])
})
