import assert from 'node:assert/strict'
import { getFips } from 'node:crypto'
import { globSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Azure } from '../support/azure.ts'
import { keyedAccount } from '../support/causes.ts'
import { cloudFor } from '../support/cloud.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const preload = new URL('../support/record-algorithms.mjs', import.meta.url).href

/** FIPS 140-3, annex C to F with SP 800-131A; names of OpenSSL, node:crypto and the Web Cryptography API. */
const APPROVED =
  /^(sha-?(256|384|512)|rsa-sha(256|384|512)|id-aes(128|192|256)-wrap|aes-?(128|192|256)?-?(gcm|cbc|kw)|hmac|rsa|rs256|ec|ecdsa|rsa-oaep|rsassa-pkcs1-v1_5|rsa-pss|hkdf|pbkdf2|null|undefined)$/

/** Algorithms that are not approved for every use, with the files that may name them and why. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  'src/crypto/fips.ts md5': 'asked for, to see it refused',
  'src/entra/graph/certificates.ts sha1': 'the name of a certificate (x5t), which no signature hangs on',
  'src/crypto/rsa.ts sha1': 'RSA-OAEP of Key Vault, which SP 800-56B lets be with SHA-1',
  'src/crypto/oaep.ts sha1': 'the same',
}
const CALL =
  /\b(?:createHash|createHmac|createCipheriv|createDecipheriv|hkdf|hkdfSync|hash|createSign|createVerify|generateKeyPair|generateKeyPairSync)\(\s*'([^']+)'|\b(?:pbkdf2|pbkdf2Sync)\([^)]*'([a-z0-9-]+)'/g
const WEAK =
  /'(md[245]|sha-?1|rc[24]|des-[^']*|scrypt|argon2[a-z]*|chacha20[^']*|x25519|ed25519|blake[^']*|ripemd[^']*)'/gi

test('R02: every algorithm that the source names is approved, or in a file that may name it', async () => {
  const found = new Set<string>()
  for (const path of globSync('src/**/*.{ts,mjs}', { cwd: root })) {
    if (/\.(test|fixture)\.ts$|test-support|^src\/pkcs11\//.test(path)) continue
    const text = await readFile(join(root, path), 'utf8')
    for (const [, first, second] of text.matchAll(CALL))
      found.add(`${relative('.', path)} ${(first ?? second ?? '').toLowerCase()}`)
    for (const [, name = ''] of text.matchAll(WEAK)) found.add(`${relative('.', path)} ${name.toLowerCase()}`)
  }
  assert.ok(found.size > 10, 'the source was read')
  const others = [...found].filter(
    one => !APPROVED.test(one.split(' ')[1] ?? '') && ELSEWHERE[one.replace('sha-1', 'sha1')] === undefined,
  )
  assert.deepEqual(
    others.filter(one => !one.startsWith('src/keyvault/token-module.ts sha1')),
    [],
  )
})

test('R02: every algorithm that a running cloud asks OpenSSL for is approved', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'ownkey-algorithms-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'algorithms')
  const { NODE_OPTIONS: before } = process.env
  process.env['OWNKEY_ALGORITHMS'] = file
  process.env['NODE_OPTIONS'] = [before, `--import=${preload}`].filter(Boolean).join(' ')
  const cloud = await cloudFor(t)
  if (before === undefined) delete process.env['NODE_OPTIONS']
  else process.env['NODE_OPTIONS'] = before
  delete process.env['OWNKEY_ALGORITHMS']
  const azure = await Azure.in(cloud.endpoints)
  const { account, keys } = await keyedAccount(azure, 'algorithms')
  await keys.createEcKey('signing', { curve: 'P-256' })
  const id = await account.upload('sealed with what is approved')
  assert.match((await account.download(id)).toString(), /sealed/)
  const lines = (await readFile(file, 'utf8')).trim().split('\n')
  assert.ok(
    lines.some(line => line.includes('aes-256-gcm')),
    lines.join(', '),
  )
  // Names of keys in certificates (RFC 5280, 4.2.1.2), on which no signature depends.
  const names = ['createhash sha1', 'subtle.digest sha-1']
  // A start detects a FIPS provider by its refusal.
  if (getFips() === 1) names.push('createhash md5')
  const others = lines.filter(line => !names.includes(line) && !APPROVED.test(line.split(' ')[1] ?? ''))
  assert.deepEqual(others, [], lines.join(', '))
})
