import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { blobDigests, changed, wrappedKeys } from '../../src/harness/search-folder.ts'
import { Azure, refusal, untilAllowed, untilRefused, type Reply } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('enabling')
const keys = await azure.vault('kv-enable', { sku: { family: 'A', name: 'premium' } })
const first = (await keys.createRsaKey('cmk', { keySize: 2048 })).properties.version
await azure.policy('kv-enable', 'add', account.principalId)
const file = await account.upload('present from the start')

interface Info {
  readonly type: string
  readonly info: { readonly requirement?: string; readonly found?: string; readonly command?: string }
}

/** Codes of all unmet requirements in one answer; each says what was found and which command fixes it. */
const unmet = ({ status, body }: Reply): string[] => {
  assert.equal(status, 400, JSON.stringify(body))
  assert.equal(body.error.code, 'CustomerManagedKeyRequirementsNotMet')
  const details = body.error.details as { code: string; message: string; target: string; additionalInfo: Info[] }[]
  for (const { code, message, target, additionalInfo } of details) {
    assert.notEqual(target, '')
    const { requirement, found, command } = additionalInfo[0]?.info ?? {}
    assert.equal(requirement, code.split('.')[0])
    assert.ok(found !== undefined && found.length > 15, message)
    assert.match(command ?? '', /^az (keyvault|cognitiveservices) [a-z]+/)
    assert.equal(message, `${found} Run: ${command}`)
  }
  return details.map(({ code }) => code).toSorted()
}

test('R15, R05: enabled with a key and its version, the account names them, and everything stays readable', async () => {
  const enabled = await account.encrypt({ vault: 'kv-enable', name: 'cmk', version: first })
  assert.equal(enabled.status, 200, JSON.stringify(enabled.body))
  const { keySource, keyVaultProperties } = await account.encryption()
  assert.equal(keySource, 'Microsoft.KeyVault')
  assert.deepEqual(
    [keyVaultProperties.keyVaultUri, keyVaultProperties.keyName, keyVaultProperties.keyVersion],
    [azure.vaultUri('kv-enable'), 'cmk', first],
  )
  assert.match((await account.download(file)).toString(), /present from the start/)
})

test('R16, R18: a new version re-wraps a few keys and touches no data', async () => {
  for (let n = 0; n < 5; n += 1) await account.upload(`number ${n}`)
  const blobs = await blobDigests(cloud.dataDir)
  const wrapped = await wrappedKeys(cloud.dataDir)
  const second = (await keys.rotateKey('cmk')).properties.version
  const updated = await account.encrypt({ vault: 'kv-enable', name: 'cmk', version: second })
  assert.equal(updated.status, 200, JSON.stringify(updated.body))
  const later = await blobDigests(cloud.dataDir)
  assert.deepEqual(later, blobs, 'no blob was rewritten, added or taken away')
  assert.equal(
    changed(wrapped, await wrappedKeys(cloud.dataDir)),
    2,
    'the two data keys, of before and since enabling, were wrapped anew',
  )
  await keys.updateKeyProperties('cmk', first ?? '', { enabled: false })
  await cloud.restart()
  assert.match((await account.download(file)).toString(), /present from the start/)
  await keys.updateKeyProperties('cmk', second ?? '', { enabled: false })
  await untilRefused(() => account.download(file))
  await keys.updateKeyProperties('cmk', second ?? '', { enabled: true })
  await untilAllowed(() => account.download(file))
})

test('R17, R29: another key, another vault, and back to service-managed keys', async () => {
  const other = await azure.vault('kv-other')
  await azure.policy('kv-other', 'add', account.principalId)
  const sameVault = (await keys.createRsaKey('second', { keySize: 2048 })).properties.version
  const otherVault = (await other.createRsaKey('third', { keySize: 2048 })).properties.version
  assert.equal((await account.encrypt({ vault: 'kv-enable', name: 'second', version: sameVault })).status, 200)
  assert.equal((await account.encrypt({ vault: 'kv-other', name: 'third', version: otherVault })).status, 200)
  await azure.policy('kv-enable', 'remove', account.principalId)
  assert.match((await account.download(file)).toString(), /present from the start/)
  assert.equal((await account.encrypt()).status, 200)
  assert.equal((await account.encryption()).keySource, 'Microsoft.CognitiveServices')
  await azure.policy('kv-other', 'remove', account.principalId)
  await cloud.restart()
  assert.match((await account.download(file)).toString(), /present from the start/)
  await azure.policy('kv-enable', 'add', account.principalId)
})

test('R08, R09, R10, R11, R12: every unmet requirement is named at once, with its fix, and nothing changes', async () => {
  const bad = await azure.vault('kv-bad', { enablePurgeProtection: undefined, networkAcls: { defaultAction: 'Allow' } })
  await bad.createRsaKey('large', { keySize: 3072, enabled: true, keyOps: ['sign', 'verify'] })
  await azure.policy('kv-bad', 'add', account.principalId, ['get', 'wrapKey'])
  const codes = unmet(await account.encrypt({ vault: 'kv-bad', name: 'large' }))
  for (const code of ['R08.PurgeProtectionOff', 'R11.PermissionMissing', 'R12.KeyOperations', 'R12.KeySize'])
    assert.ok(codes.includes(code), `${code} in ${codes.join(', ')}`)
  assert.equal((await account.encryption()).keySource, 'Microsoft.CognitiveServices')

  await azure.patchVault('kv-bad', { networkAcls: { defaultAction: 'Deny', bypass: 'None' } })
  assert.ok(unmet(await account.encrypt({ vault: 'kv-bad', name: 'large' })).includes('R09.TrustedServicesBlocked'))
  await azure.patchVault('kv-bad', { networkAcls: { defaultAction: 'Allow' }, enableRbacAuthorization: true })
  assert.ok(unmet(await account.encrypt({ vault: 'kv-bad', name: 'large' })).includes('R10.RbacAuthorization'))
})

test('R11: each permission that is missing is named', async () => {
  for (const missing of ['get', 'wrapKey', 'unwrapKey']) {
    const left = ['get', 'wrapKey', 'unwrapKey'].filter(permission => permission !== missing)
    await azure.policy('kv-enable', 'replace', account.principalId, left)
    const refused = await account.encrypt({ vault: 'kv-enable', name: 'cmk' })
    assert.deepEqual(unmet(refused), ['R11.PermissionMissing'])
    assert.match(refused.body.error.details[0].message, new RegExp(`'${missing}'.*az keyvault set-policy`))
  }
  await azure.policy('kv-enable', 'replace', account.principalId)
})

const past = new Date(Date.now() - 60_000)
const future = new Date(Date.now() + 3_600_000)
const wrongKeys: Record<string, { code: string; create: () => Promise<unknown> }> = {
  'R12-ec': { code: 'R12.KeyType', create: () => keys.createEcKey('R12-ec', { curve: 'P-256' }) },
  'R12-3072': { code: 'R12.KeySize', create: () => keys.createRsaKey('R12-3072', { keySize: 3072 }) },
  'R12-4096': { code: 'R12.KeySize', create: () => keys.createRsaKey('R12-4096', { keySize: 4096 }) },
  'R12-off': { code: 'R12.KeyDisabled', create: () => keys.createRsaKey('R12-off', { enabled: false }) },
  'R12-expired': { code: 'R12.KeyExpired', create: () => keys.createRsaKey('R12-expired', { expiresOn: past }) },
  'R12-early': { code: 'R12.KeyNotYetValid', create: () => keys.createRsaKey('R12-early', { notBefore: future }) },
  'R12-ops': { code: 'R12.KeyOperations', create: () => keys.createRsaKey('R12-ops', { keyOps: ['wrapKey'] }) },
  'R12-absent': { code: 'R06.KeyNotFound', create: () => Promise.resolve() },
}

for (const [name, { code, create }] of Object.entries(wrongKeys)) {
  test(`R12: the key ${name} is refused as ${code}`, async () => {
    await create()
    assert.ok(unmet(await account.encrypt({ vault: 'kv-enable', name })).includes(code))
  })
}

test('R12, R06: an RSA-HSM key of 2048 bits and an imported key of the customer are accepted', async () => {
  const hsm = await keys.createRsaKey('hsm', { keySize: 2048, hsm: true })
  assert.equal(
    (await account.encrypt({ vault: 'kv-enable', name: 'hsm', version: hsm.properties.version })).status,
    200,
  )
  const { generateKeyPairSync } = await import('node:crypto')
  const jwk = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' })
  const bytes = Object.fromEntries(
    Object.entries(jwk)
      .filter(([part]) => part !== 'kty')
      .map(([part, value]) => [part, Buffer.from(value as string, 'base64url')]),
  )
  await keys.importKey('own', { kty: 'RSA', ...bytes })
  assert.equal((await account.encrypt({ vault: 'kv-enable', name: 'own' })).status, 200)
  assert.match((await account.download(file)).toString(), /present from the start/)
})

test('R07: a vault in another region is refused by name', async () => {
  const { tenantId } = azure.endpoints
  const body = {
    location: 'eastus',
    properties: { tenantId, sku: { family: 'A', name: 'standard' }, enablePurgeProtection: true, accessPolicies: [] },
  }
  assert.ok((await azure.arm('PUT', azure.vaultPath('kv-far'), body, '2023-07-01')).status < 300)
  assert.ok(unmet(await account.encrypt({ vault: 'kv-far', name: 'cmk' })).includes('R07.RegionMismatch'))
})

test('R06: a vault that does not exist is refused by name', async () => {
  assert.deepEqual(unmet(await account.encrypt({ vault: 'kv-nowhere', name: 'cmk' })), ['R06.VaultNotFound'])
  const { host } = new URL(azure.vaultUri('kv-nowhere'))
  const noVaults = [host.replace('kv-nowhere', ''), host.replace('kv-nowhere', 'kv.other'), host.replace(':', '.:')]
  for (const odd of noVaults)
    assert.deepEqual(unmet(await account.encrypt({ uri: `https://${odd}/`, name: 'cmk' })), ['R06.VaultNotFound'], odd)
})

test('R13, R31: without its identity the account loses the key at once; on again it is another principal without access', async () => {
  const off = await account.patch({ identity: { type: 'None' } })
  assert.equal(off.status, 200)
  const refused = await refusal(() => account.download(file))
  assert.equal(refused?.code, 'CustomerManagedKeyUnavailable')
  assert.match(refused.message, /IdentityMissing/)
  const on = await account.patch({ identity: { type: 'SystemAssigned' } })
  const principalId = String(on.body.identity.principalId)
  assert.notEqual(principalId, account.principalId)
  assert.equal((await refusal(() => account.download(file)))?.status, 403)
  await azure.policy('kv-enable', 'add', principalId)
  await untilAllowed(() => account.download(file))
})

test('R11, R15: an account without an identity, or created with a key, is told the steps', async () => {
  const bare = await azure.account('bare', 'None')
  assert.ok(unmet(await bare.encrypt({ vault: 'kv-enable', name: 'cmk' })).includes('R11.IdentityOff'))
  const early = await azure.arm('PUT', azure.accountPath('early'), {
    location: azure.endpoints.location,
    kind: 'OpenAI',
    sku: { name: 'S0' },
    identity: { type: 'SystemAssigned' },
    properties: {
      encryption: {
        keySource: 'Microsoft.KeyVault',
        keyVaultProperties: { keyVaultUri: azure.vaultUri('kv-enable'), keyName: 'cmk', keyVersion: first },
      },
    },
  })
  assert.equal(early.status, 400)
  assert.match(early.body.error.message, /Create the account with identity.*give its principal.*PATCH/)
  assert.equal((await azure.arm('GET', azure.accountPath('early'))).status, 404)
})
