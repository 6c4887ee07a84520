import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { refusedStart } from './database-writer.ts'

/** Preloaded: an HKDF with one wrong bit, like a broken build of OpenSSL. */
const WRONG = `import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
const right = crypto.hkdfSync
crypto.hkdfSync = (...values) => {
  const bytes = right(...values)
  new Uint8Array(bytes)[0] ^= 1
  return bytes
}
syncBuiltinESMExports()`

test('R02: with a wrong known answer the start is refused, and nothing is made', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'ownkey-answers-'))
  const before = process.env['NODE_OPTIONS']
  t.after(async () => {
    if (before === undefined) delete process.env['NODE_OPTIONS']
    else process.env['NODE_OPTIONS'] = before
    await rm(folder, { recursive: true, force: true })
  })
  process.env['NODE_OPTIONS'] = `${before ?? ''} --import=data:text/javascript,${encodeURIComponent(WRONG)}`
  const dataDir = join(folder, 'cloud')
  assert.match(await refusedStart(dataDir), /self-test of HKDF-SHA-256 .* failed: the answer is wrong/)
  assert.equal(existsSync(dataDir), false)
})
