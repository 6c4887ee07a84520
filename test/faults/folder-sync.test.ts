import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { startCloudProcess } from '../../src/harness/cloud-process.ts'
import { Azure, pause } from '../support/azure.ts'
import { failBy, failures, forgetRules, noCompiler } from './failing-disk.ts'

const ATOMIC_FILE = new URL('../../src/store/atomic-file.ts', import.meta.url).href
const folder = await mkdtemp(join(tmpdir(), 'ownkey-folder-sync-'))
after(() => rm(folder, { recursive: true, force: true }))
after(forgetRules)

async function until(is: () => Promise<boolean>): Promise<void> {
  for (let looks = 0; looks < 200; looks++) {
    if (await is()) return
    await pause(50)
  }
  assert.fail('It did not come about in ten seconds.')
}

function written() {
  const source = `import { writeFileAtomically } from '${ATOMIC_FILE}'; await writeFileAtomically(${JSON.stringify(join(folder, 'file'))}, 'x')`
  return spawnSync(process.execPath, ['--input-type=module', '-e', source], { encoding: 'utf8' })
}

test(
  'a file system that can not sync folders is used as it is; one where that fails is not',
  { skip: noCompiler },
  async () => {
    // The second sync, since the first is of the file.
    await failBy({ calls: 'sync', part: folder, error: 'EINVAL', from: 2 })
    const unknown = written()
    assert.equal(unknown.status, 0, unknown.stderr)
    await failBy({ calls: 'sync', part: folder, error: 'EIO', from: 2 })
    const failing = written()
    assert.equal(failing.status, 1)
    assert.match(failing.stderr, /The disk failed to make the names in/)
  },
)

test('a start on a disk whose names can not be made durable is refused, and ends', { skip: noCompiler }, async () => {
  await failBy({ calls: 'sync', part: folder, error: 'EIO', from: 2 })
  const dataDir = join(folder, 'refused')
  // Its log is there too, so koffi's sync at the end of the process fails.
  const failed = startCloudProcess(dataDir)
  await assert.rejects(Promise.race([failed, pause(20_000)]), /ended at once/)
  assert.match(await readFile(join(dataDir, 'service.log'), 'utf8'), /The disk failed to make the names in/)
  await failBy()
})

test(
  'where a disk outside of the folder fails the service goes on, and the head is written later',
  { skip: noCompiler },
  async () => {
    const outside = join(folder, 'outside')
    await mkdir(outside)
    const head = join(outside, 'head')
    const cloud = await startCloudProcess(join(folder, 'cloud'), ['--freshness', `file:${head}`])
    after(() => cloud.kill())
    const account = await (await Azure.in(cloud.endpoints)).account('outside')
    // The second sync there is of the names.
    await failBy({ calls: 'sync', part: outside, error: 'EIO', from: 2, count: 1 })
    await account.upload('one')
    await until(async () => (await failures()) === 1)
    const before = await readFile(head, 'utf8')
    const uploaded = await account.upload('two')
    assert.match((await account.download(uploaded)).toString(), /two/)
    // The next try is in half a minute, or at the end.
    await cloud.stop()
    assert.notEqual(await readFile(head, 'utf8'), before)
    assert.match(await readFile(join(folder, 'cloud/service.log'), 'utf8'), /The head could not be written to file:/)
  },
)
