import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemEnv } from '../base/env.ts'
import { temporaryFolder } from '../store/temporary-folder.ts'
import { openRootKeys } from './root-key.ts'

const folder = temporaryFolder()

test('a root key of a length other than 32 bytes is refused, from a file or from the environment', async () => {
  const file = join(folder, 'wrong.key')
  for (const size of [0, 16, 31, 33, 64]) {
    const text = Buffer.alloc(size, 1).toString('base64')
    await writeFile(file, text)
    await assert.rejects(openRootKeys({ file }), /wrong\.key does not hold 32 bytes of base64/)
    await assert.rejects(
      openRootKeys({ file: join(folder, 'none'), fromEnvironment: text }),
      /OWNKEY_ROOT_KEY does not hold 32 bytes/,
    )
  }
})

test('a missing root key is made only for a new folder, readable by its owner alone', async () => {
  const file = join(folder, 'root.key')
  await assert.rejects(openRootKeys({ file }), /is missing: restore it from its backup/)
  const made = await openRootKeys({ file, makeWith: systemEnv })
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  const text = await readFile(file, 'utf8')
  for (const again of [
    await openRootKeys({ file }),
    await openRootKeys({ file, makeWith: systemEnv }),
    await openRootKeys({ file: join(folder, 'none'), fromEnvironment: text }),
  ])
    for (const [purpose, key] of Object.entries(again)) assert.ok(key.equals(made[purpose as keyof typeof made]))
})

test('no two purposes share a key', async () => {
  const keys = await openRootKeys({ file: '', fromEnvironment: Buffer.alloc(32, 1).toString('base64') })
  const different = new Set(Object.values(keys).map(key => key.export().toString('hex')))
  assert.equal(different.size, 7)
})
