import assert from 'node:assert/strict'
import { constants, createHash, createPublicKey, publicEncrypt, verify, type KeyObject } from 'node:crypto'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { readPinFile } from './pin-file.ts'
import { openSoftToken, PIN, softHsm, softHsmMissing, softTokens } from './soft-token.fixture.ts'
import { openToken, type Token, type TokenRsaKey } from './token.ts'

describe('a PKCS #11 token', { skip: softHsmMissing }, () => {
  let tokens: ReturnType<typeof softTokens>
  let token: Token
  let key: TokenRsaKey

  before(async () => {
    tokens = softTokens('first', 'second')
    token = await openSoftToken('first')
    key = await token.generateRsa(2048, 65_537)
  })
  after(async () => {
    await token.close()
    tokens.remove()
  })

  it('makes keys of the size and exponent that were asked for', async () => {
    assert.deepEqual([key.n.length, key.e.toString('hex')], [256, '010001'])
    const other = await token.generateRsa(3072, 3)
    assert.deepEqual([other.n.length, other.e.toString('hex')], [384, '03'])
    await token.destroy(other.id)
  })

  it('decrypts many at a time, each with its own result', async () => {
    const padding = constants.RSA_PKCS1_OAEP_PADDING
    const answers = Array.from({ length: 200 }, async (_, n) => {
      const text = publicEncrypt({ key: publicKeyOf(key), padding, oaepHash: 'sha1' }, Buffer.from(`message ${n}`))
      return (await token.decrypt(key.id, { type: 'oaep', hash: 'sha1' }, text)).toString()
    })
    assert.deepEqual(
      await Promise.all(answers),
      Array.from({ length: 200 }, (_, n) => `message ${n}`),
    )
  })

  it('leaves the event loop free while it works', async () => {
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    const made = await token.generateRsa(4096, 65_537)
    clearInterval(timer)
    await token.destroy(made.id)
    assert.ok(turns > 5, `${turns} turns of the event loop while a key was made`)
  })

  it('signs a digest under PSS', async () => {
    const digest = createHash('sha384').update('text').digest()
    const signature = await token.sign(key.id, { type: 'pss', hash: 'sha384' }, digest)
    const options = { key: publicKeyOf(key), padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 48 }
    assert.ok(verify('sha384', Buffer.from('text'), options, signature))
  })

  it('has no key any more once it was destroyed, also twice', async () => {
    const gone = await token.generateRsa(2048, 65_537)
    await token.sign(gone.id, { type: 'pss', hash: 'sha256' }, Buffer.alloc(32))
    await token.destroy(gone.id)
    await token.destroy(gone.id)
    await assert.rejects(
      token.sign(gone.id, { type: 'pss', hash: 'sha256' }, Buffer.alloc(32)),
      /holds no private key/u,
    )
  })

  it('is chosen by its label, and a label that is missing or fits no token is refused with the names of the tokens', async () => {
    await assert.rejects(openSoftToken('third'), /has not the token 'third'.*('first', 'second'|'second', 'first')/u)
    await assert.rejects(openSoftToken(), /several tokens.*--pkcs11-token LABEL/u)
  })

  it('refuses a wrong PIN, and says so without the PIN', async () => {
    await assert.rejects(openSoftToken('second', 'wrong-pin-77'), (error: Error) => {
      assert.match(error.message, /PIN in the PIN file is wrong/u)
      assert.ok(!error.message.includes('wrong-pin-77'))
      return true
    })
  })

  it('a path that is not a module is refused by name', async () => {
    const pin = async (): Promise<Buffer> => Buffer.from(PIN)
    await assert.rejects(openToken({ modulePath: '/nowhere/x.so', pin }), /\/nowhere\/x\.so is not a PKCS #11 module/u)
    const text = join(tokens.folder, 'text.so')
    writeFileSync(text, 'no library')
    await assert.rejects(openToken({ modulePath: text, pin }), /is not a PKCS #11 module that this machine can load/u)
    assert.ok(softHsm.length > 0)
  })

  it('the PIN file must be readable by its owner alone, and hold a PIN', async () => {
    const file = join(tokens.folder, 'pin')
    writeFileSync(file, `${PIN}\n`, { mode: 0o600 })
    assert.equal((await readPinFile(file)).toString(), PIN)
    chmodSync(file, 0o640)
    await assert.rejects(readPinFile(file), /chmod 600/u)
    chmodSync(file, 0o600)
    writeFileSync(file, '\n')
    await assert.rejects(readPinFile(file), /is empty/u)
    await assert.rejects(readPinFile(`${file}-none`), /can't be read/u)
  })
})

function publicKeyOf({ n, e }: TokenRsaKey): KeyObject {
  const jwk = { kty: 'RSA', n: n.toString('base64url'), e: e.toString('base64url') }
  return createPublicKey({ key: jwk, format: 'jwk' })
}
