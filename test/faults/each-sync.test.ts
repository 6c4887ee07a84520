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

/** The outcome when its n-th sync failed; undefined if it has fewer. */
async function withFailing(what: string, n: number): Promise<string | undefined> {
  await failBy()
  const own = await mkdtemp(join(folder, `${what}-`))
  const { stdout } = await promisify(execFile)(process.execPath, [child, what, own, String(n)])
  return (await failures()) === 0 ? undefined : stdout
}

/** The syncs of each operation, and its error when each of them fails. */
const TOLD: Readonly<Record<string, readonly [title: string, told: readonly string[]]>> = {
  file: ['a file that is replaced as a whole: its bytes, its name', ['Error', 'FailedSync']],
  lines: ['lines at the end of a new file: their bytes, its name', ['Error', 'Error']],
  blob: ['a blob: its bytes, its new folder, its name', ['StorageRefused', 'StorageRefused', 'StorageRefused']],
  removal: ['a blob that is removed: its name', ['CommitUnknown']],
  commit: ['a commit: the log of the database', ['CommitUnknown']],
  shred: [
    'a commit that erases: the log, the database twice, the erased log, then like any other commit',
    ['CommitUnknown', 'CommitUnknown', 'CommitUnknown', 'CommitUnknown', 'CommitUnknown'],
  ],
}

for (const [what, [title, expected]] of Object.entries(TOLD))
  test(`an operation with a failed sync is not acknowledged: ${title}`, { skip: noCompiler }, async () => {
    const told: string[] = []
    for (let n = 1; n <= expected.length + 1; n += 1) {
      const outcome = await withFailing(what, n)
      if (outcome !== undefined) told.push(outcome)
    }
    assert.deepEqual(told, expected)
  })
