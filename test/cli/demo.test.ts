import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { assertFits, assertRefused, ended, say } from './command-line.fixture.ts'
import { strangeFolder } from './strange-folder.fixture.ts'

test('into a pipe, the demo fits 80 columns, has no colours and shows no progress', { timeout: 280_000 }, async t => {
  const folder = await strangeFolder(t)
  const { code, out, err } = await ended(
    spawn(process.execPath, [join(folder, 'src/cli.ts'), 'demo'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 270_000,
    }),
  )
  assert.equal(code, 0, out + err)
  assert.equal(err, '')
  assertFits(out)
  for (const sign of ['\u001b', '\r', '█']) assert.ok(!out.includes(sign))
  assert.match(out, /What was proven\n[\s\S]* {3}All of it holds, in \d+ s\.\n$/)
})

test('a demo without a folder for temporary files names TMPDIR', async () => {
  const nowhere = await say(['demo'], { env: { ...process.env, TMPDIR: '/nowhere' } })
  assertRefused(nowhere, { code: 1, says: /There is no \/nowhere\. TMPDIR names another folder/ })
})

test('a demo whose cloud does not start says why', async () => {
  const env = { ...process.env, OWNKEY_ROOT_KEY: 'not a key' }
  const { code, err } = await say(['demo'], { env })
  assert.equal(code, 1)
  assert.match(err, /^ownkey: The cloud ended at once \(exit 1\):\n.*OWNKEY_ROOT_KEY/m)
})
