import assert from 'node:assert/strict'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { systemEnv } from '../base/env.ts'
import { certificateNames, openCertificates, type ServerCertificates } from './certificates.ts'

describe('certificates', () => {
  let dir: string
  let first: ServerCertificates
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'ownkey-certificates-'))
    first = await openCertificates(dir, 'localhost', systemEnv)
  })
  after(async () => rm(dir, { recursive: true }))

  it('names every host, the loopback addresses and at most 397 days', () => {
    const server = new X509Certificate(first.certificatePem)
    for (const name of ['login.localhost', 'kv-1.vault.localhost', 'a.openai.localhost', 'localhost']) {
      assert.ok(server.checkHost(name), name)
    }
    assert.equal(server.checkHost('example.com'), undefined)
    assert.ok(server.checkIP('127.0.0.1') && server.checkIP('::1'))
    const days = (Date.parse(server.validTo) - Date.parse(server.validFrom)) / 86_400_000
    assert.ok(days <= 397 && days > 390, String(days))
    assert.ok(server.verify(new X509Certificate(first.caPem).publicKey))
    assert.equal(new X509Certificate(first.caPem).ca, true)
    assert.equal(server.ca, false)
  })

  it('keeps both over a restart, with private keys that only the owner reads', async () => {
    const second = await openCertificates(dir, 'localhost', systemEnv)
    assert.deepEqual(second, first)
    for (const file of ['ca-key.pem', 'server-key.pem']) {
      assert.equal((await stat(join(dir, file))).mode & 0o777, 0o600)
    }
  })

  it('makes a new server certificate under the same CA when the names change or one of its files is lost', async () => {
    await writeFile(join(dir, 'server.pem'), '')
    const second = await openCertificates(dir, 'localhost', systemEnv)
    assert.equal(second.caPem, first.caPem)
    assert.notEqual(second.certificatePem, first.certificatePem)
    const other = await openCertificates(dir, 'cloud.localhost', systemEnv)
    assert.equal(other.caPem, first.caPem)
    for (const name of certificateNames('cloud.localhost').filter(entry => !entry.startsWith('*'))) {
      assert.ok(new X509Certificate(other.certificatePem).checkHost(name), name)
    }
  })

  it('makes another CA for a domain that the present one is not allowed to vouch for', async () => {
    const elsewhere = await openCertificates(dir, 'cloud.test', systemEnv)
    assert.notEqual(elsewhere.caPem, first.caPem)
    assert.equal((await openCertificates(dir, 'cloud.test', systemEnv)).caPem, elsewhere.caPem)
  })

  it('makes the server certificate anew where it is damaged, missing or another key is beside it', async () => {
    for (const harm of [
      async () => writeFile(join(dir, 'server-key.pem'), await readFile(join(dir, 'ca-key.pem'))),
      () => writeFile(join(dir, 'server.pem'), 'x'),
      () => rm(join(dir, 'server-key.pem')),
    ]) {
      await harm()
      const { certificatePem, keyPem } = await openCertificates(dir, 'cloud.test', systemEnv, { authority: 'keep' })
      assert.ok(new X509Certificate(certificatePem).checkPrivateKey(createPrivateKey(keyPem)))
    }
  })

  it('refuses a CA that is missing, damaged or has another key, and names the file', async () => {
    const [caFile, keyFile] = [join(dir, 'ca.pem'), join(dir, 'ca-key.pem')]
    const [ca, key] = await Promise.all([readFile(caFile), readFile(keyFile)])
    for (const [file, content, says] of [
      [caFile, undefined, /ca\.pem is missing or empty\..*--new-ca/u],
      [keyFile, undefined, /ca-key\.pem is missing or empty\..*--new-ca/u],
      [caFile, 'x', /ca\.pem is damaged\./u],
      [keyFile, 'x', /ca-key\.pem is damaged\./u],
      [keyFile, await readFile(join(dir, 'server-key.pem')), /ca-key\.pem is not the key of .*ca\.pem\./u],
    ] as const) {
      await (content === undefined ? rm(file) : writeFile(file, content))
      await assert.rejects(
        openCertificates(dir, 'cloud.test', systemEnv, { authority: 'keep' }),
        ({ message }: Error) => {
          assert.match(message, says)
          return true
        },
      )
      await Promise.all([writeFile(caFile, ca), writeFile(keyFile, key)])
    }
    const { caPem } = await openCertificates(dir, 'cloud.test', systemEnv, { authority: 'keep' })
    assert.equal(caPem, ca.toString())
    assert.notEqual((await openCertificates(dir, 'cloud.test', systemEnv, { authority: 'replace' })).caPem, caPem)
  })
})
