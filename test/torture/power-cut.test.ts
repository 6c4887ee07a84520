import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Random } from '../support/random.ts'
import { noPowerCut, PowerCut } from './power-cut.ts'

const parent = await mkdtemp(join(tmpdir(), 'ownkey-cut-'))
after(() => rm(parent, { recursive: true, force: true }))
const CUTS = 16

/** The names and contents of a folder after a program ran in it and the power was cut, by seed. */
async function leftBy(program: string): Promise<Record<string, string>[]> {
  const all: Record<string, string>[] = []
  for (let seed = 0; seed < CUTS; seed += 1) {
    const folder = join(await mkdtemp(join(parent, 'of-')), 'folder')
    await mkdir(folder)
    const cut = await PowerCut.over(folder)
    const source = `const fs = require('node:fs'); const at = name => ${JSON.stringify(folder)} + '/' + name; const sync = name => { const file = fs.openSync(at(name), 'r'); fs.fsyncSync(file); fs.closeSync(file) }; ${program}`
    const { status, stderr } = spawnSync(process.execPath, ['-e', source], {
      env: { ...process.env, ...cut.env },
      encoding: 'utf8',
    })
    assert.equal(status, 0, stderr)
    await cut.happen(new Random(seed))
    const names = await readdir(folder)
    const entries = names.map(async name => [name, await readFile(join(folder, name), 'latin1')] as const)
    all.push(Object.fromEntries(await Promise.all(entries)))
  }
  return all
}

const asText = (all: readonly object[]): Set<string> => new Set(all.map(one => JSON.stringify(one)))

test('a power cut keeps what was synced, in a folder that was synced', { skip: noPowerCut }, async () => {
  const left = await leftBy("fs.writeFileSync(at('a'), 'kept', { flush: true }); sync('.')")
  assert.deepEqual(asText(left), new Set(['{"a":"kept"}']))
})

test('a power cut may lose writes without a sync, and names of new files', { skip: noPowerCut }, async () => {
  const contents = asText(
    await leftBy("fs.writeFileSync(at('a'), 'old', { flush: true }); sync('.'); fs.appendFileSync(at('a'), 'new')"),
  )
  assert.deepEqual(contents, new Set(['{"a":"old"}', '{"a":"oldnew"}']))
  const names = asText(await leftBy("fs.writeFileSync(at('a'), 'x', { flush: true })"))
  assert.deepEqual(names, new Set(['{}', '{"a":"x"}']))
})

test('a power cut may undo renames and removals', { skip: noPowerCut }, async () => {
  const begin =
    "fs.writeFileSync(at('a'), 'old', { flush: true }); fs.writeFileSync(at('b'), 'new', { flush: true }); sync('.');"
  const moved = asText(await leftBy(`${begin} fs.renameSync(at('b'), at('a'))`))
  assert.deepEqual(moved, new Set(['{"a":"old","b":"new"}', '{"a":"new"}']))
  const removed = asText(await leftBy(`${begin} fs.unlinkSync(at('a')); fs.unlinkSync(at('b'))`))
  assert.deepEqual(removed, new Set(['{"a":"old","b":"new"}', '{"b":"new"}', '{}']))
  assert.deepEqual(
    asText(await leftBy(`${begin} fs.renameSync(at('b'), at('a')); sync('.')`)),
    new Set(['{"a":"new"}']),
  )
})

test('a power cut may tear a write at each sector, and leave holes', { skip: noPowerCut }, async () => {
  const left = await leftBy(
    "fs.writeFileSync(at('a'), '', { flush: true }); sync('.'); fs.writeFileSync(at('a'), 'x'.repeat(4096))",
  )
  assert.ok(asText(left).size > 2)
})
