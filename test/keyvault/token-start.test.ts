import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { toFile } from 'openai'
import { administratorCredential, ArmClient } from '../../src/harness/azure-client.ts'
import { administratorObjectId, Scene } from '../../src/harness/scene.ts'
import { PIN, softHsm, softHsmMissing, softTokens } from '../../src/pkcs11/soft-token.fixture.ts'
import { cloudFor, LEASE_SECONDS } from '../support/cloud.ts'

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))

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
    // Joined to one line, since it is broken to fit a terminal.
    return { status, stderr: stderr.replaceAll(/\n +/g, ' ') }
  }

  it('the cloud runs, and its log does not hold the PIN', async test => {
    const { dataDir } = await cloudFor(test, ['--pkcs11-module', softHsm, '--pkcs11-pin-file', pinFile])
    const log = readFileSync(join(dataDir, 'service.log'), 'utf8')
    assert.match(log, /OwnKey is ready/u)
    assert.ok(!log.includes(PIN))
  })

  it('an account is encrypted under a key in the token, rotated and revoked · R13 R18 R22', async test => {
    const { dataDir, endpoints } = await cloudFor(test, ['--pkcs11-module', softHsm, '--pkcs11-pin-file', pinFile])
    const scene = new Scene(endpoints, dataDir)
    await scene.createGroup()
    await scene.createAccount()
    await scene.createVault(await administratorObjectId(endpoints))
    const arm = new ArmClient(endpoints, administratorCredential(endpoints))
    const vault = `/resourceGroups/${scene.group}/providers/Microsoft.KeyVault/vaults/${scene.vault}`
    await arm.call('PATCH', vault, '2023-07-01', { properties: { sku: { family: 'A', name: 'premium' } } })
    const key = await scene.keys.createRsaKey(scene.key, { hsm: true, keySize: 2048 })
    assert.equal(key.keyType, 'RSA-HSM')
    await scene.grant()
    await scene.setEncryption(key.properties.version)
    const lines = '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}\n'.repeat(10)
    const file = await scene.openai.files.create({
      file: await toFile(Buffer.from(lines), 'a.jsonl'),
      purpose: 'fine-tune',
    })
    const next = await scene.keys.rotateKey(scene.key)
    await scene.setEncryption(next.properties.version)
    assert.equal(await (await scene.openai.files.content(file.id)).text(), lines)
    await scene.revoke()
    await new Promise(resolve => setTimeout(resolve, LEASE_SECONDS * 1000 + 200))
    await assert.rejects(scene.openai.files.content(file.id), { status: 403 })
  })

  it('a wrong PIN, token or module ends the start with what to do', () => {
    const wrong = join(tokens.folder, 'wrong-pin')
    writeFileSync(wrong, 'not-the-pin-9', { mode: 0o600 })
    const pin = start('--pkcs11-module', softHsm, '--pkcs11-pin-file', wrong)
    assert.equal(pin.status, 1)
    assert.match(pin.stderr, /PIN in the PIN file is wrong/u)
    assert.ok(!pin.stderr.includes('not-the-pin-9'))
    const token = start('--pkcs11-module', softHsm, '--pkcs11-pin-file', pinFile, '--pkcs11-token', 'other')
    assert.deepEqual([token.status, /has not the token 'other'.*'start'/u.test(token.stderr)], [1, true], token.stderr)
    const module = start('--pkcs11-module', '/nowhere.so', '--pkcs11-pin-file', pinFile)
    assert.deepEqual([module.status, /\/nowhere\.so is not a PKCS #11 module/u.test(module.stderr)], [1, true])
    const half = start('--pkcs11-module', softHsm)
    assert.deepEqual([half.status, /needs both/u.test(half.stderr)], [2, true])
  })
})
