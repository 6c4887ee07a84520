import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Azure, KEY_PERMISSIONS, refusal, untilAllowed, untilRefused } from '../support/azure.ts'
import { cloudFor, LEASE_SECONDS } from '../support/cloud.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('revoked')
const { principalId } = account
const keys = await azure.vault('kv-revoke')
const { properties } = await keys.createRsaKey('cmk', { keySize: 2048 })
const version = properties.version ?? ''
await azure.policy('kv-revoke', 'add', principalId)
const uploaded = await account.upload('what only the customer may read')
const enabled = await account.encrypt({ vault: 'kv-revoke', name: 'cmk', version })
assert.equal(enabled.status, 200, JSON.stringify(enabled.body))
const job = await account.jobIs(await account.train(uploaded), ['succeeded'])
const model = job.fine_tuned_model ?? ''
assert.equal((await account.deploy('served', model)).status, 201)

const networkAcls = (defaultAction: string, bypass: string): object => ({
  networkAcls: { defaultAction, bypass, ipRules: [{ value: '127.0.0.1' }, { value: '::1/128' }] },
})

/** R19, R20, R21: each way to take the key away, and the way back. */
const ways: {
  id: string
  how: string
  code: string
  revoke: () => Promise<unknown>
  restore: () => Promise<unknown>
}[] = [
  {
    id: 'R19',
    how: 'removing the access policy',
    code: 'AccessDenied',
    revoke: () => azure.policy('kv-revoke', 'remove', principalId),
    restore: () => azure.policy('kv-revoke', 'add', principalId),
  },
  ...KEY_PERMISSIONS.map(permission => ({
    id: 'R20',
    how: `removing the permission ${permission}`,
    code: 'AccessDenied',
    revoke: () =>
      azure.policy(
        'kv-revoke',
        'replace',
        principalId,
        KEY_PERMISSIONS.filter(kept => kept !== permission),
      ),
    restore: () => azure.policy('kv-revoke', 'replace', principalId),
  })),
  {
    id: 'R20',
    how: 'closing the firewall to trusted services',
    code: 'FirewallDenied',
    revoke: () => azure.patchVault('kv-revoke', networkAcls('Deny', 'None')),
    restore: () => azure.patchVault('kv-revoke', networkAcls('Allow', 'AzureServices')),
  },
  {
    id: 'R21',
    how: 'disabling the version of the key',
    code: 'KeyDisabled',
    revoke: () => keys.updateKeyProperties('cmk', version, { enabled: false }),
    restore: () => keys.updateKeyProperties('cmk', version, { enabled: true }),
  },
  {
    id: 'R21',
    how: 'deleting the key',
    code: 'KeyNotFound',
    revoke: async () => (await keys.beginDeleteKey('cmk', { intervalInMs: 20 })).pollUntilDone(),
    restore: async () => (await keys.beginRecoverDeletedKey('cmk', { intervalInMs: 20 })).pollUntilDone(),
  },
]

for (const { id, how, code, revoke, restore } of ways) {
  test(`${id}, R22, R23, R24: ${how} cuts off downloads, new jobs and new deployments within the lease, and giving it back heals`, async t => {
    await account.download(uploaded)
    await revoke()
    const results = job.result_files[0] ?? ''
    const download = await untilRefused(() => account.download(uploaded))
    t.diagnostic(`${how}: refused after ${download.seconds.toFixed(2)} s; ${download.message}`)
    assert.ok(download.seconds < LEASE_SECONDS + 1, `took ${download.seconds} s`)
    const refused = {
      'R22: a download of training data': download,
      'R22: a download of results': await refusal(() => account.download(results)),
      'R23: a new job': await refusal(() => account.train(uploaded)),
      'R24: a new deployment': await refusal(() => account.deploy('another', model)),
    }
    for (const [what, answer] of Object.entries(refused)) {
      assert.equal(answer?.status, 403, what)
      assert.equal(answer.code, 'CustomerManagedKeyUnavailable', what)
      assert.match(answer.message, /cmk/, `${what} names the key`)
      assert.match(answer.message, /kv-revoke/, `${what} names the vault`)
      assert.match(answer.message, new RegExp(`\\(${code}\\)`), `${what} names the cause`)
    }
    // R25
    assert.notEqual(await account.chat('served'), '')
    await restore()
    await untilAllowed(() => account.download(uploaded))
    assert.match((await account.download(uploaded)).toString(), /what only the customer may read/)
  })
}

test('R22: metadata and deletion still work, so that the customer can clean up', async () => {
  const extra = await account.upload('to be deleted while revoked')
  await azure.policy('kv-revoke', 'remove', principalId)
  await untilRefused(() => account.download(uploaded))
  const listed = await account.openai.files.list()
  assert.ok(listed.data.some(({ id }) => id === extra))
  assert.equal((await account.openai.files.delete(extra)).deleted, true)
  await azure.policy('kv-revoke', 'add', principalId)
  await untilAllowed(() => account.download(uploaded))
})

test('R29: disabling the customer-managed key needs the key, and changes nothing without it', async () => {
  await azure.policy('kv-revoke', 'remove', principalId)
  await untilRefused(() => account.download(uploaded))
  const disabled = await refusal(() => account.encrypt())
  assert.equal(disabled?.status, 403)
  assert.equal((await account.encryption()).keySource, 'Microsoft.KeyVault')
  await azure.policy('kv-revoke', 'add', principalId)
  await untilAllowed(() => account.download(uploaded))
})
