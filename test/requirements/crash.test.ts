import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Azure, untilRefused } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const folder = await mkdtemp(join(tmpdir(), 'ownkey-die-'))
after(() => rm(folder, { recursive: true, force: true }))
const control = join(folder, 'die-at')
process.env['OWNKEY_TEST_DIE_AT'] = control
process.env['NODE_OPTIONS'] = `--import=${new URL('../support/die-at-commit.mjs', import.meta.url).href}`
const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('crashing')
const keys = await azure.vault('kv-crash')
const versions = [(await keys.createRsaKey('cmk', { keySize: 2048 })).properties.version ?? '']
await azure.policy('kv-crash', 'add', account.principalId)
const file = await account.upload('through every crash')

const changes: Record<string, () => Promise<{ status: number }>> = {
  enable: () => account.encrypt({ vault: 'kv-crash', name: 'cmk', version: versions[0] }),
  rotate: () => account.encrypt({ vault: 'kv-crash', name: 'cmk', version: versions.at(-1) }),
  disable: () => account.encrypt(),
}

for (const [name, change] of Object.entries(changes)) {
  test(`R18, R29: the service dies at each of its commits while it does ${name}; afterwards account and keys agree, and the data opens`, async t => {
    if (name === 'rotate') versions.push((await keys.rotateKey('cmk')).properties.version ?? '')
    let at = 0
    for (let done = false; !done;) {
      at += 1
      assert.ok(at < 40, 'the change never ends')
      await writeFile(control, String(at))
      const status = await change().then(
        answer => answer.status,
        () => undefined,
      )
      await rm(control)
      done = status !== undefined
      if (done) assert.equal(status, 200)
      else await cloud.restart('kill')
      const encryption = await account.encryption()
      const isCustomer = encryption.keySource === 'Microsoft.KeyVault'
      // What the account says must be what its keys are wrapped by: the vault's refusal counts exactly then.
      assert.match((await account.download(file)).toString(), /through every crash/, `after commit ${at}`)
      if (isCustomer && at % 4 === 0) {
        await azure.policy('kv-crash', 'remove', account.principalId)
        await untilRefused(() => account.download(file))
        await azure.policy('kv-crash', 'add', account.principalId)
      }
    }
    t.diagnostic(`${name} makes ${at - 1} commits, the vault's audit records among them`)
    assert.ok(at > 2)
    const verified = await azure.armRoot('GET', '/ownkey/audit/verify')
    assert.equal(verified.body.ok, true, JSON.stringify(verified.body))
  })
}
