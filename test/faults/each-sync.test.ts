import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { failBy, failures, forgetRules, noCompiler } from './failing-disk.ts'

const child = join(import.meta.dirname, 'one-sync.child.ts')
const folder = await mkdtemp(join(tmpdir(), 'ownkey-each-sync-'))
after(() => rm(folder, { recursive: true, force: true }))
after(forgetRules)

/** What came of it when its n-th sync failed; undefined: it has fewer. */
async function withFailing(what: string, n: number): Promise<string | undefined> {
  await failBy()
  const own = await mkdtemp(join(folder, `${what}-`))
  const { stdout } = await promisify(execFile)(process.execPath, [child, what, own, String(n)])
  return (await failures()) === 0 ? undefined : stdout
}

/** What is told where each of the syncs fails, and which they are. */
const TOLD: Readonly<Record<string, readonly [title: string, told: readonly string[]]>> = {
  file: ['a file that is replaced as a whole: its bytes, its name', ['Error', 'FailedSync']],
  lines: ['lines at the end of a new file: their bytes, its name', ['Error', 'Error']],
  blob: [
    'a blob: its bytes, the folder that it is the first in, its name',
    ['StorageRefused', 'StorageRefused', 'StorageRefused'],
  ],
  removal: ['a blob that is removed: its name', ['CommitUnknown']],
  commit: ['a commit: the log of the database', ['CommitUnknown']],
  shred: [
    'a commit that erases: the log, the database twice, the log that was erased, and as every other one',
    ['CommitUnknown', 'CommitUnknown', 'CommitUnknown', 'CommitUnknown', 'CommitUnknown'],
  ],
}

for (const [what, [title, expected]] of Object.entries(TOLD))
  test(
    `nothing is acknowledged of which a sync failed, and none is left out: ${title}`,
    { skip: noCompiler },
    async () => {
      const told: string[] = []
      for (let n = 1; n <= expected.length + 1; n += 1) {
        const outcome = await withFailing(what, n)
        if (outcome !== undefined) told.push(outcome)
      }
      assert.deepEqual(told, expected)
    },
  )
