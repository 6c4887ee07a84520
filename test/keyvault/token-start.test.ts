import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { PIN, softHsm, softHsmMissing, softTokens } from '../../src/pkcs11/soft-token.fixture.ts'
import { cloudFor } from '../support/cloud.ts'

const cli = new URL('../../src/cli.ts', import.meta.url).pathname

describe('start with a PKCS #11 token', { skip: softHsmMissing }, () => {
  let tokens: ReturnType<typeof softTokens>
  let pinFile: string

  before(() => {
    tokens = softTokens('start')
    pinFile = join(tokens.folder, 'pin')
    writeFileSync(pinFile, `${PIN}\n`, { mode: 0o600 })
  })
  after(() => tokens.remove())

  const start = (...args: string[]) => {
    const folder = join(tokens.folder, 'data')
    const { status, stderr } = spawnSync(
      process.execPath,
      [cli, 'start', '--data-dir', folder, '--port', '0', ...args],
      {
        encoding: 'utf8',
        timeout: 20_000,
      },
    )
    return { status, stderr }
  }

  it('the cloud runs, and its log does not hold the PIN', async test => {
    const { dataDir } = await cloudFor(test, ['--pkcs11-module', softHsm, '--pkcs11-pin-file', pinFile])
    const log = readFileSync(join(dataDir, 'service.log'), 'utf8')
    assert.match(log, /OwnKey is ready/u)
    assert.ok(!log.includes(PIN))
  })

  it('a wrong PIN, token or module ends the start with what to do, and without the PIN', () => {
    const wrong = join(tokens.folder, 'wrong-pin')
    writeFileSync(wrong, 'not-the-pin-9', { mode: 0o600 })
    const pin = start('--pkcs11-module', softHsm, '--pkcs11-pin-file', wrong)
    assert.equal(pin.status, 1)
    assert.match(pin.stderr, /PIN in the PIN file is wrong/u)
    assert.ok(!pin.stderr.includes('not-the-pin-9'))
    const token = start('--pkcs11-module', softHsm, '--pkcs11-pin-file', pinFile, '--pkcs11-token', 'other')
    assert.deepEqual([token.status, /has not the token 'other'.*'start'/u.test(token.stderr)], [1, true], token.stderr)
    const module = start('--pkcs11-module', '/nowhere.so', '--pkcs11-pin-file', pinFile)
    assert.deepEqual([module.status, /\/nowhere\.so is no PKCS #11 module/u.test(module.stderr)], [1, true])
    const half = start('--pkcs11-module', softHsm)
    assert.deepEqual([half.status, /needs both/u.test(half.stderr)], [2, true])
  })
})
