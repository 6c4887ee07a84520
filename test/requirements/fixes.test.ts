import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { KeyClient } from '@azure/keyvault-keys'
import { runAz } from '../support/az.ts'
import { Azure, type Reply, type TestAccount } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const vaults = new Map<string, KeyClient>()
const keysOf = (vault: string): KeyClient => vaults.get(vault) ?? assert.fail(`no vault ${vault}`)

interface Detail {
  readonly code: string
  readonly additionalInfo: [{ info: { command: string } }]
}

/** Does what each refusal says to run, until the key is accepted. Resolves to the codes of each refusal. */
async function fixed(encrypt: () => Promise<Reply>): Promise<string[][]> {
  const told: string[][] = []
  for (;;) {
    const { status, body } = await encrypt()
    if (status === 200) return told
    assert.ok(told.length < 4, `still refused: ${JSON.stringify(body)}`)
    assert.equal(body.error?.code, 'CustomerManagedKeyRequirementsNotMet')
    const details = body.error.details as Detail[]
    told.push(details.map(({ code }) => code).toSorted())
    for (const command of new Set(details.map(({ additionalInfo }) => additionalInfo[0].info.command)))
      await runAz(azure, keysOf, command)
  }
}

async function vault(name: string, properties: object = {}): Promise<KeyClient> {
  const keys = await azure.vault(name, properties)
  vaults.set(name, keys)
  return keys
}

async function accountWith(vaultName: string, name: string): Promise<TestAccount> {
  const account = await azure.account(name)
  await azure.policy(vaultName, 'add', account.principalId)
  return account
}

test('R08, R09, R10, R11: what the refusal says to run fixes everything that is wrong with identity and vault', async () => {
  await vault('kv-worst', { enablePurgeProtection: undefined })
  await keysOf('kv-worst').createRsaKey('cmk', { keySize: 2048 })
  // The firewall lets the administrator's address in, but not the service.
  const networkAcls = { defaultAction: 'Deny', bypass: 'None', ipRules: [{ value: '127.0.0.1' }, { value: '::1/128' }] }
  assert.equal((await azure.patchVault('kv-worst', { networkAcls, enableRbacAuthorization: true })).status, 200)
  const account = await azure.account('worst', 'None')
  const told = await fixed(() => account.encrypt({ vault: 'kv-worst', name: 'cmk' }))
  assert.deepEqual(told, [
    ['R08.PurgeProtectionOff', 'R09.TrustedServicesBlocked', 'R10.RbacAuthorization', 'R11.IdentityOff'],
    ['R11.PermissionMissing', 'R11.PermissionMissing', 'R11.PermissionMissing'],
  ])
  const file = await account.upload('well in the end')
  assert.match((await account.download(file)).toString(), /well in the end/)
})

await vault('kv-fix')
const key = keysOf('kv-fix')
const account = await accountWith('kv-fix', 'fix')
const wrong: Record<string, { codes: string[]; create: (name: string) => Promise<unknown> }> = {
  disabled: { codes: ['R12.KeyDisabled'], create: name => key.createRsaKey(name, { enabled: false }) },
  expired: {
    codes: ['R12.KeyExpired'],
    create: name => key.createRsaKey(name, { expiresOn: new Date(Date.now() - 60_000) }),
  },
  early: {
    codes: ['R12.KeyNotYetValid'],
    create: name => key.createRsaKey(name, { notBefore: new Date(Date.now() + 3_600_000) }),
  },
  'without-operations': {
    codes: ['R12.KeyOperations'],
    create: name => key.createRsaKey(name, { keyOps: ['sign', 'verify'] }),
  },
  deleted: {
    codes: ['R06.KeyNotFound'],
    create: async name => {
      await key.createRsaKey(name)
      await (await key.beginDeleteKey(name, { intervalInMs: 20 })).pollUntilDone()
    },
  },
}

for (const [name, { codes, create }] of Object.entries(wrong)) {
  test(`R12, R06: what the refusal says to run fixes a key that is ${name}`, async () => {
    await create(name)
    assert.deepEqual(await fixed(() => account.encrypt({ vault: 'kv-fix', name })), [codes])
    assert.equal((await account.encrypt()).status, 200)
  })
}

test('R12: for a key that can not be fixed the refusal says how to make one that fits', async () => {
  for (const [name, create] of [
    ['large', () => key.createRsaKey('large', { keySize: 4096 })],
    ['curve', () => key.createEcKey('curve', { curve: 'P-256' })],
  ] as const) {
    await create()
    const { body } = await account.encrypt({ vault: 'kv-fix', name })
    const [detail] = body.error.details as Detail[]
    await runAz(azure, keysOf, detail?.additionalInfo[0].info.command ?? '')
    assert.equal((await account.encrypt({ vault: 'kv-fix', name: `${name}-2048` })).status, 200)
  }
  assert.equal((await account.encrypt()).status, 200)
})

test('R06: a vault that was deleted is recovered by what the refusal says to run', async () => {
  const version = (await key.createRsaKey('cmk')).properties.version
  assert.equal((await azure.arm('DELETE', azure.vaultPath('kv-fix'), undefined, '2023-07-01')).status, 200)
  const told = await fixed(() => account.encrypt({ vault: 'kv-fix', name: 'cmk', version }))
  assert.deepEqual(told, [['R06.VaultNotFound']])
})

test('R15, R11: an account that is created with a key is refused with the three steps that do it', async () => {
  const { status, body } = await azure.arm('PUT', azure.accountPath('atonce'), {
    location: azure.endpoints.location,
    kind: 'OpenAI',
    sku: { name: 'S0' },
    identity: { type: 'SystemAssigned' },
    properties: {
      encryption: {
        keySource: 'Microsoft.KeyVault',
        keyVaultProperties: { keyVaultUri: azure.vaultUri('kv-fix'), keyName: 'cmk', keyVersion: '' },
      },
    },
  })
  assert.deepEqual([status, body.error.code], [400, 'CustomerManagedKeyBeforeIdentity'])
  assert.match(body.error.message, /identity doesn't exist yet.*Nothing was created/)
  const commands = (body.error.details as Detail[]).map(({ additionalInfo }) => additionalInfo[0].info.command)
  assert.deepEqual(
    commands.map(command => command.match(/^az [a-z -]+?(?= --)/)?.[0]),
    ['az cognitiveservices account create', 'az keyvault set-policy', 'az cognitiveservices account update'],
  )
  assert.match(commands[0] ?? '', /--name atonce --resource-group tests .*--assign-identity$/)
  assert.match(commands[1] ?? '', /--name kv-fix --object-id .*--key-permissions get wrapKey unwrapKey$/)
  const encryption = JSON.parse(/--encryption '(.*)'$/.exec(commands[2] ?? '')?.[1] ?? '')
  assert.equal(encryption.keyVaultProperties.keyName, 'cmk')
  assert.equal((await azure.arm('GET', azure.accountPath('atonce'))).status, 404)
  const steps = await accountWith('kv-fix', 'atonce')
  assert.equal((await steps.patch({ properties: { encryption } })).status, 200)
})
