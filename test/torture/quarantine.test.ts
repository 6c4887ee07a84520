import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { openDirectoryBlobs } from '../../src/store/directory-blobs.ts'
import { openQuarantine } from '../../src/store/quarantine.ts'
import { Random } from '../support/random.ts'
import { noPowerCut, PowerCut } from './power-cut.ts'

const parent = await mkdtemp(join(tmpdir(), 'ownkey-cut-'))
after(() => rm(parent, { recursive: true, force: true }))
const CUTS = 12
const QUARANTINE = new URL('../../src/store/quarantine.ts', import.meta.url).href

async function* bytes(): AsyncGenerator<Buffer> {
  yield Buffer.from('sealed')
}

/** Where the blob is after a program ran over a folder and the power was cut right after it. */
async function placesAfter(before: string, program: string): Promise<string[][]> {
  const all: string[][] = []
  for (let seed = 0; seed < CUTS; seed += 1) {
    const blobs = join(await mkdtemp(join(parent, 'of-')), 'blobs')
    await cp(before, blobs, { recursive: true })
    const cut = await PowerCut.over(blobs)
    const source = `import { openQuarantine } from '${QUARANTINE}'; const quarantine = openQuarantine(${JSON.stringify(blobs)}); await quarantine.list(); ${program}`
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', source], {
      env: { ...process.env, ...cut.env },
      encoding: 'utf8',
    })
    assert.equal(status, 0, stderr)
    await cut.happen(new Random(seed))
    all.push((await readdir(blobs, { recursive: true })).map(String).filter(name => name.endsWith('abcd')))
  }
  return all
}

test('a power cut does not lose a blob that was set aside or given back', { skip: noPowerCut }, async () => {
  const before = join(parent, 'before')
  await (await openDirectoryBlobs(before)).create('abcd', bytes())
  for (const places of await placesAfter(before, "await quarantine.take('abcd', '2026-01-01')"))
    assert.deepEqual(places, ['quarantine/2026-01-01/abcd'])
  await openQuarantine(before).take('abcd', '2026-01-01')
  await rm(join(before, 'ab'), { recursive: true })
  await mkdir(join(before, 'cd'))
  for (const places of await placesAfter(
    before,
    "await quarantine.giveBack('abcd', await quarantine.find('abcd', async () => true))",
  ))
    assert.deepEqual(places, ['ab/abcd'])
})
