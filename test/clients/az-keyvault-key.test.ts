import assert from 'node:assert/strict'
import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { AzSession, noAz } from '../support/az-session.ts'
import { cloudFor } from '../support/cloud.ts'

describe('az keyvault key, unmodified', { concurrency: false, skip: noAz }, () => {
  const ends: (() => Promise<void>)[] = []
  let az: AzSession
  let vaultUri: string
  /** `az keyvault key <command> --vault-name az-keys ...` */
  const key = (command: string, ...more: string[]) => {
    const [verb = '', ...rest] = command.split(' ')
    return az.run(`keyvault key ${verb} --vault-name az-keys ${rest.join(' ')}`, ...more)
  }
  const namesIn = (list: { name?: string; kid: string }[]): string[] =>
    list.map(({ kid }) => new URL(kid).pathname.split('/')[2] ?? '').toSorted()

  before(async () => {
    const cloud = await cloudFor({ after: (end: () => Promise<void>) => void ends.push(end) })
    vaultUri = `https://az-keys${cloud.endpoints.keyVaultSuffix}/`
    az = await AzSession.in(cloud, ends)
    const { location } = cloud.endpoints
    await az.run(`group create --name keys --location ${location}`)
    await az.run(
      `keyvault create --name az-keys --resource-group keys --location ${location} --sku premium --enable-rbac-authorization false`,
    )
  })
  after(() => Promise.all(ends.map(end => end())))

  it('create: each type, with operations, dates and tags', async () => {
    const made = await key(
      'create --name rsa --kty RSA --size 2048 --ops encrypt decrypt sign verify wrapKey unwrapKey --not-before 2020-01-01T00:00:00Z --tags a=1',
    )
    assert.deepEqual(made.tags, { a: '1' })
    assert.equal(made.attributes.notBefore, '2020-01-01T00:00:00+00:00')
    assert.equal(made.attributes.recoveryLevel, 'Recoverable+Purgeable')
    const types = { ec: '--kty EC --curve P-256', hsm: '--kty RSA-HSM --size 3072', oct: '--kty oct-HSM --size 256' }
    for (const [name, options] of Object.entries(types)) {
      const { key: created } = await key(`create --name ${name} ${options}`)
      assert.equal(created.kty, options.split(' ')[1])
    }
    await assert.rejects(key('create --name weak --kty RSA --size 1024'), /BadParameter/)
  })

  it('import: a PEM file, and the public half comes back', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const file = join(az.dir, 'own.pem')
    await writeFile(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
    await key(`import --name own --pem-file ${file}`)
    const out = join(az.dir, 'own.pub.pem')
    await key(`download --name own --file ${out} --encoding PEM`)
    const { n } = publicKey.export({ format: 'jwk' })
    assert.equal(createPublicKey(await readFile(out)).export({ format: 'jwk' }).n, n)
  })

  it('show, list, list-versions and rotate: the new version is the current one', async () => {
    const { key: first } = await key('show --name rsa')
    const { key: second } = await key('rotate --name rsa')
    assert.notEqual(second.kid, first.kid)
    assert.equal((await key('show --name RSA')).key.kid, second.kid)
    assert.equal((await key(`show --name rsa --version ${first.kid.split('/').at(-1)}`)).key.kid, first.kid)
    assert.equal((await key('list-versions --name rsa')).length, 2)
    assert.deepEqual(namesIn(await key('list')), ['ec', 'hsm', 'oct', 'own', 'rsa'])
    assert.equal((await key('list --maxresults 2')).length, 2)
    assert.equal((await az.run(`keyvault key show --id ${first.kid}`)).key.kid, first.kid)
  })

  it('rotation-policy: show and update', async () => {
    const policy = (command: string, ...more: string[]) =>
      az.run(`keyvault key rotation-policy ${command} --vault-name az-keys --name rsa`, ...more)
    assert.equal((await policy('show')).lifetimeActions[0].action, 'Notify')
    const file = join(az.dir, 'policy.json')
    const lifetimeActions = [
      { trigger: { timeAfterCreate: 'P90D' }, action: { type: 'Rotate' } },
      { trigger: { timeBeforeExpiry: 'P30D' }, action: { type: 'Notify' } },
    ]
    await writeFile(file, JSON.stringify({ lifetimeActions, attributes: { expiryTime: 'P2Y' } }))
    await policy('update', '--value', file)
    const shown = await policy('show')
    assert.equal(shown.expiresIn, 'P2Y')
    assert.equal(shown.lifetimeActions[0].timeAfterCreate, 'P90D')
    await writeFile(file, JSON.stringify({ lifetimeActions, attributes: { expiryTime: 'P1D' } }))
    await assert.rejects(policy('update', '--value', file), /expiryTime/)
  })

  it('set-attributes: a disabled key does nothing, an expired one still decrypts but does not sign', async () => {
    await key('create --name attributes --kty RSA')
    const encrypt = () => key('encrypt --name attributes --algorithm RSA-OAEP-256 --value hello --data-type plaintext')
    const { result, kid } = await encrypt()
    await key('set-attributes --name attributes --enabled false')
    await assert.rejects(encrypt(), /disabled/)
    await key('set-attributes --name attributes --enabled true --expires 2021-01-01T00:00:00Z --tags b=2')
    assert.deepEqual((await key('show --name attributes')).tags, { b: '2' })
    const version = kid.split('/').at(-1)
    const old = `decrypt --name attributes --version ${version} --algorithm RSA-OAEP-256 --data-type plaintext --value`
    assert.equal((await key(old, result)).result, 'hello')
    // az encrypts with the public half by itself. The vault refuses operations with the private half.
    const digest = createHash('sha256').update('late').digest('base64')
    await assert.rejects(key(`sign --name attributes --algorithm RS256 --digest ${digest}`), /expired/)
    await key('set-attributes --name attributes --expires 2040-01-01T00:00:00Z --ops encrypt')
    await encrypt()
    await assert.rejects(
      key(`decrypt --name attributes --algorithm RSA-OAEP-256 --data-type plaintext --value`, result),
      /decrypt/,
    )
  })

  it('encrypt and decrypt, sign and verify: with each kind of key', async () => {
    const oaep = '--name rsa --algorithm RSA-OAEP-256 --data-type plaintext --value'
    const { result } = await key(`encrypt ${oaep}`, 'a secret')
    assert.equal((await key(`decrypt ${oaep}`, result)).result, 'a secret')
    const block = Buffer.alloc(16, 7).toString('base64')
    // Not CBC, since az's client, which never sees an oct-HSM key, would encrypt by itself under a random key.
    const gcm = '--name oct --algorithm A256GCM --data-type base64 --value'
    const sealed = await key(`encrypt ${gcm}`, block)
    assert.equal((await key(`decrypt ${gcm}`, sealed.result, '--iv', sealed.iv, '--tag', sealed.tag)).result, block)
    const digest = createHash('sha256').update('signed').digest('base64')
    for (const [name, algorithm] of [
      ['ec', 'ES256'],
      ['rsa', 'PS256'],
      ['hsm', 'RS256'],
    ]) {
      const of = `--name ${name} --algorithm ${algorithm} --digest ${digest}`
      const { signature } = await key(`sign ${of}`)
      assert.equal((await key(`verify ${of} --signature`, signature)).isValid, true, name)
      const other = createHash('sha256').update('other').digest('base64')
      const wrong = `verify --name ${name} --algorithm ${algorithm} --digest ${other} --signature`
      assert.equal((await key(wrong, signature)).isValid, false, name)
    }
  })

  it('backup, delete, list-deleted, show-deleted, recover, purge, restore', async () => {
    const file = join(az.dir, 'rsa.backup')
    await key(`backup --name rsa --file ${file}`)
    const { key: current } = await key('show --name rsa')
    await key('delete --name rsa')
    await assert.rejects(key('show --name rsa'), /KeyNotFound/)
    assert.deepEqual(namesIn(await key('list-deleted')), ['rsa'])
    assert.match((await key('show-deleted --name rsa')).recoveryId, /\/deletedkeys\/rsa$/)
    await assert.rejects(key('create --name rsa --kty RSA'), /deleted but recoverable/)
    await key('recover --name rsa')
    assert.equal((await key('show --name rsa')).key.kid, current.kid)
    await key('delete --name rsa')
    await key('purge --name rsa')
    assert.deepEqual(await key('list-deleted'), [])
    await assert.rejects(key('recover --name rsa'), /not found/)
    await key(`restore --file ${file}`)
    assert.equal((await key('show --name rsa')).key.kid, current.kid)
    assert.equal((await key('list-versions --name rsa')).length, 2)
    await assert.rejects(key(`restore --file ${file}`), /exists/)
  })

  it('random gives bytes; attestation and release say that they are not supported here', async () => {
    const { value } = await az.run(`keyvault key random --count 24 --id ${vaultUri}`)
    assert.equal(Buffer.from(value, 'base64').length, 24)
    await assert.rejects(az.run(`keyvault key get-attestation --id ${vaultUri}keys/hsm`), /not supported here/)
  })
})
