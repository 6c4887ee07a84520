import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { auditRecords } from '../audit/ownkey.fixture.ts'
import { Azure, pause, refusal, untilAllowed } from '../support/azure.ts'
import { cloudFor, LEASE_SECONDS } from '../support/cloud.ts'

const cloud = await cloudFor({ after }, ['--key-watch-seconds', '1'])
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('watched')
const keys = await azure.vault('kv-watched')
const first = (await keys.createRsaKey('cmk', { keySize: 2048 })).id ?? ''
await azure.policy('kv-watched', 'add', account.principalId)
const file = await account.upload('seen through every key')

interface Status {
  readonly state: string
  readonly keyIdentifier?: string
  readonly cause?: string
  readonly message?: string
  readonly since: string
  readonly lastSuccess: string
  readonly lastChecked: string
  readonly expiresOn?: string
}

const status = async (): Promise<Status> => (await account.encryption()).status

/** Nobody uses the key meanwhile, so the service has to find out by itself. Resolves to the status and the seconds it took. */
async function statusIs(holds: (status: Status) => boolean): Promise<Status & { seconds: number }> {
  const start = performance.now()
  for (;;) {
    const now = await status()
    const seconds = (performance.now() - start) / 1000
    if (holds(now)) return { ...now, seconds }
    if (seconds > 10) assert.fail(`after ${seconds} s still ${JSON.stringify(now)}`)
    await pause(50)
  }
}

const OF_ACCOUNT = 'Microsoft.CognitiveServices/accounts/encryption/'
const recorded = async (operation: string) =>
  (await auditRecords(cloud.dataDir)).filter(({ operationName }) => operationName === OF_ACCOUNT + operation)

test('R15: the state of a customer’s key is in the account, and is read-only', async () => {
  assert.deepEqual(await status(), { state: 'Active' })
  assert.equal((await account.encrypt({ vault: 'kv-watched', name: 'cmk' })).status, 200)
  const enabled = await status()
  assert.equal(enabled.state, 'Active')
  assert.equal(enabled.keyIdentifier, first)
  assert.equal(enabled.since, enabled.lastSuccess)
  const { keyVaultProperties } = await account.encryption()
  assert.equal(keyVaultProperties.keyVersion, '', 'what was asked for stays as it was')
  const forged = { keySource: 'Microsoft.KeyVault', keyVaultProperties, status: { state: 'Forged' } }
  assert.equal(
    (await account.patch({ properties: { encryption: forged } })).body.properties.encryption.status.state,
    'Active',
  )
  const later = await statusIs(({ lastSuccess }) => lastSuccess > enabled.lastSuccess)
  assert.equal(later.lastChecked, later.lastSuccess)
})

test('R19, R05: an unavailable key shows within a lease, with its cause and time, though nobody uses it', async t => {
  await azure.policy('kv-watched', 'remove', account.principalId)
  const lost = await statusIs(({ state }) => state === 'KeyUnavailable')
  t.diagnostic(`seen after ${lost.seconds.toFixed(2)} s`)
  assert.ok(lost.seconds < LEASE_SECONDS + 1.5)
  assert.equal(lost.cause, 'AccessDenied')
  assert.match(lost.message ?? '', /cmk.*kv-watched.*get, wrapKey and unwrapKey/)
  assert.ok(lost.lastSuccess < lost.since && lost.since <= lost.lastChecked)
  const checked = await statusIs(({ lastChecked }) => lastChecked > lost.lastChecked)
  assert.equal(checked.since, lost.since)
  await cloud.restart()
  const again = await statusIs(({ lastChecked }) => lastChecked > checked.lastChecked)
  assert.deepEqual([again.state, again.cause, again.since], ['KeyUnavailable', 'AccessDenied', lost.since])
  assert.equal(again.lastSuccess, lost.lastSuccess)
})

test('R21: another cause is another state, and each change of state is in the audit log once', async () => {
  await azure.policy('kv-watched', 'add', account.principalId)
  await statusIs(({ state }) => state === 'Active')
  await keys.updateKeyProperties('cmk', first.split('/').at(-1) ?? '', { enabled: false })
  await statusIs(({ cause }) => cause === 'KeyDisabled')
  await keys.updateKeyProperties('cmk', first.split('/').at(-1) ?? '', { enabled: true })
  const active = await statusIs(({ state }) => state === 'Active')
  assert.equal(active.cause, undefined)
  assert.ok(active.since <= active.lastSuccess)
  assert.match((await account.download(file)).toString(), /seen through every key/)
  const turns = (await recorded('status')).map(({ properties, resultType }) => [
    properties['from'],
    properties['to'],
    resultType,
  ])
  assert.deepEqual(turns, [
    ['Active', 'AccessDenied', 'Failed'],
    ['AccessDenied', 'Active', 'Success'],
    ['Active', 'KeyDisabled', 'Failed'],
    ['KeyDisabled', 'Active', 'Success'],
  ])
})

test('R16, R18: a key URI without a version follows each rotation by itself, with an audit record at each switch', async t => {
  const versions = [first]
  for (let n = 0; n < 2; n += 1) {
    versions.push((await keys.rotateKey('cmk')).id ?? '')
    const { seconds } = await statusIs(({ keyIdentifier }) => keyIdentifier === versions.at(-1))
    t.diagnostic(`followed after ${seconds.toFixed(2)} s`)
    assert.ok(seconds < LEASE_SECONDS + 1.5)
  }
  for (const old of versions.slice(0, 2))
    await keys.updateKeyProperties('cmk', old.split('/').at(-1) ?? '', { enabled: false })
  await pause(LEASE_SECONDS * 1000)
  assert.match((await account.download(file)).toString(), /seen through every key/)
  const switches = (await recorded('rotate')).map(({ properties, resultType, callerIpAddress }) => [
    properties['from'],
    properties['kid'],
    resultType,
    callerIpAddress,
  ])
  assert.deepEqual(switches, [
    [versions[0], versions[1], 'Success', 'service'],
    [versions[1], versions[2], 'Success', 'service'],
  ])
})

test('R12: a new version that can not be used is not followed, once recorded, and the present one goes on', async () => {
  const present = (await status()).keyIdentifier
  const wrong = (await keys.createRsaKey('cmk', { keySize: 3072 })).id
  await pause((LEASE_SECONDS * 2 + 1) * 1000)
  const now = await status()
  assert.deepEqual([now.state, now.keyIdentifier], ['Active', present])
  const refused = (await recorded('rotate')).filter(({ resultType }) => resultType === 'Failed')
  assert.deepEqual(
    refused.map(({ properties }) => [properties['from'], properties['kid'], properties['errorCode']]),
    [[present, wrong, 'CustomerManagedKeyRequirementsNotMet']],
  )
  assert.match(refused[0]?.resultDescription ?? '', /3072 bits/)
  const right = (await keys.createRsaKey('cmk', { keySize: 2048 })).id
  await statusIs(({ keyIdentifier }) => keyIdentifier === right)
})

test('R12, R20: a key that expires while it protects data still unwraps: nothing is lost, and a change to it is refused', async () => {
  const version = ((await status()).keyIdentifier ?? '').split('/').at(-1) ?? ''
  await keys.updateKeyProperties('cmk', version, { expiresOn: new Date(Date.now() - 1000) })
  const since = (await status()).lastChecked
  await statusIs(({ lastChecked }) => lastChecked > since)
  await pause(LEASE_SECONDS * 1000)
  assert.match((await account.download(file)).toString(), /seen through every key/)
  await account.openai.files.delete(await account.upload('sealed while the key is expired'))
  const { status: expired, warnings } = await account.encryption()
  assert.deepEqual([expired.state, warnings[0].code], ['Active', 'KeyExpired'])
  assert.match(warnings[0].message, /Rotate the key/)
  const again = await refusal(() => account.encrypt({ vault: 'kv-watched', name: 'cmk', version }))
  assert.deepEqual([again?.status, again?.code], [400, 'CustomerManagedKeyRequirementsNotMet'])
  await keys.updateKeyProperties('cmk', version, { expiresOn: new Date(Date.now() + 1e9) })
  await statusIs(({ expiresOn = '' }) => Date.parse(expiresOn) > Date.now())
  assert.equal((await account.encryption()).warnings[0].code, 'KeyExpiresSoon')
  await keys.updateKeyProperties('cmk', version, { expiresOn: new Date(Date.now() + 1e10) })
  await statusIs(({ expiresOn = '' }) => Date.parse(expiresOn) > Date.now() + 5e9)
  assert.equal((await account.encryption()).warnings, undefined)
})

test('R17, R18, R29: without the present key no other one is taken, nor the service’s, since re-wrapping needs it once', async () => {
  const present = (await status()).keyIdentifier ?? ''
  const other = (await keys.createRsaKey('other', { keySize: 2048 })).properties.version
  await keys.updateKeyProperties('cmk', present.split('/').at(-1) ?? '', { enabled: false })
  await statusIs(({ cause }) => cause === 'KeyDisabled')
  for (const change of [
    () => account.encrypt({ vault: 'kv-watched', name: 'other', version: other }),
    () => account.encrypt(),
  ]) {
    const refused = await refusal(change)
    assert.deepEqual([refused?.status, refused?.code], [403, 'CustomerManagedKeyUnavailable'])
    assert.match(
      refused?.message ?? '',
      /not changed.*present key once.*'cmk'.*\(KeyDisabled\).*Enable the key version/,
    )
  }
  const unchanged = await account.encryption()
  assert.deepEqual([unchanged.keyVaultProperties.keyName, unchanged.status.keyIdentifier], ['cmk', present])
  await keys.updateKeyProperties('cmk', present.split('/').at(-1) ?? '', { enabled: true })
  await untilAllowed(() => account.encrypt({ vault: 'kv-watched', name: 'other', version: other }))
  assert.match((await status()).keyIdentifier ?? '', new RegExp(`/other/${other}$`))
  assert.equal((await account.encrypt()).status, 200)
  assert.deepEqual(await status(), { state: 'Active', earlierGenerationBlobs: 1 })
  assert.match((await account.download(file)).toString(), /seen through every key/)
})
