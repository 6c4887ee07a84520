import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { failBy, forgetRules, noCompiler } from './failing-disk.ts'

const ATOMIC_FILE = new URL('../../src/store/atomic-file.ts', import.meta.url).href
const folder = await mkdtemp(join(tmpdir(), 'ownkey-folder-sync-'))
after(() => rm(folder, { recursive: true, force: true }))
after(forgetRules)

function written() {
  const source = `import { writeFileAtomically } from '${ATOMIC_FILE}'; await writeFileAtomically(${JSON.stringify(join(folder, 'file'))}, 'x')`
  return spawnSync(process.execPath, ['--input-type=module', '-e', source], { encoding: 'utf8' })
}

test(
  'a file system that knows no syncs of folders is used as it is; one that fails in them is not',
  { skip: noCompiler },
  async () => {
    // The second sync: the first is of the file.
    await failBy({ calls: 'sync', part: folder, error: 'EINVAL', from: 2 })
    const unknown = written()
    assert.equal(unknown.status, 0, unknown.stderr)
    await failBy({ calls: 'sync', part: folder, error: 'EIO', from: 2 })
    const failing = written()
    assert.equal(failing.status, 1)
    assert.match(failing.stderr, /The disk failed to make the names in/)
  },
)
