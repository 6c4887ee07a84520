import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { auditRecords } from '../audit/ownkey.fixture.ts'
import { Azure, refusal } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { startCloudProcess } from '../../src/harness/cloud-process.ts'
import { refusedStart, serviceLog, writeDatabase } from './database-writer.ts'
import { forgeRow, rowsIn, type Row } from './folder.ts'

/** All records that say under which key an account is, from before the customer's key was enabled. */
const OF_KEYS = [
  'accounts.accounts',
  'accounts.key-statuses',
  'encryption.closed-generations',
  'encryption.data-keys',
  'encryption.key-states',
  'encryption.service-keys',
]
const MARK = 'encryption.key-states-made'
const ACCEPTED = 'OwnKey/keyRing/stateAccepted'

const cloud = await cloudFor({ after })
const port = ['--port', String(cloud.endpoints.port)]
const { dataDir } = cloud
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('accepted')
const other = await azure.account('bystander')
const keys = await azure.vault('kv-accepted')
await keys.createRsaKey('cmk', { keySize: 2048 })
await azure.policy('kv-accepted', 'add', account.principalId)
const earlier = await account.upload('from before the key')
await cloud.stop()
const before = snapshot()
await cloud.restart()
assert.equal((await account.encrypt({ vault: 'kv-accepted', name: 'cmk' })).status, 200)
const later = await account.upload('under the key')
await cloud.stop()
const present = snapshot()

function snapshot(): Row[] {
  return OF_KEYS.flatMap(collection => rowsIn(dataDir, collection))
}

/** Puts back, without a key, the old rows with their valid MACs, and removes later ones. */
function replace(rows: readonly Row[], collections = OF_KEYS): void {
  for (const collection of collections) writeDatabase(dataDir, 'DELETE FROM records WHERE collection = ?', collection)
  for (const row of rows) if (collections.includes(row.collection)) forgeRow(dataDir, row)
}

/** Runs the work in a service whose operator accepts the records as they are. */
async function whileAccepted(see: () => Promise<void>): Promise<void> {
  const accepted = await startCloudProcess(dataDir, [...port, '--accept-changed-records'])
  try {
    await see()
  } finally {
    await accepted.stop()
  }
}

test('K2: a key state from before the customer`s key that was put back and accepted is named for each account in both logs', async () => {
  replace(before)
  assert.match(await refusedStart(dataDir), /changed outside this service, in .*encryption\.key-states/)
  await whileAccepted(async () => {})
  const told = (await auditRecords(dataDir)).filter(({ operationName }) => operationName === ACCEPTED)
  const states = before.filter(({ collection }) => collection === 'encryption.key-states')
  assert.deepEqual(
    told
      .map(({ properties }) => [properties['accountId'], properties['keyIdentifier'], properties['generation']])
      .toSorted(),
    states.map(({ id, value }) => [id, `service:${id}`, value.generation]).toSorted(),
  )
  for (const { id } of states) assert.match(await serviceLog(dataDir), new RegExp(`"level":"error".*accepted.*${id}`))
})

test('K2: an account that was put back under the service`s key shows no state of a customer`s key', async () => {
  replace(present)
  replace(
    before,
    OF_KEYS.filter(name => name !== 'accounts.key-statuses'),
  )
  await whileAccepted(async () => {
    const { keySource, status } = await account.encryption()
    assert.equal(keySource, 'Microsoft.CognitiveServices')
    assert.deepEqual([status.state, status.keyIdentifier], ['Active', undefined])
  })
})

test('K2: a key state put back alone and accepted leaves its account closed', async () => {
  replace(present)
  replace(before, ['encryption.key-states'])
  await whileAccepted(async () => {
    for (const file of [earlier, later])
      assert.equal((await refusal(() => account.download(file)))?.code, 'KeyRingTampered')
    assert.equal(await refusal(() => other.upload('as ever')), undefined)
  })
})

test('K2: after the mark of key states was removed no new ones are made, also where the operator accepts', async () => {
  replace(
    present,
    OF_KEYS.filter(name => name !== 'encryption.key-states'),
  )
  writeDatabase(dataDir, "DELETE FROM records WHERE collection = 'encryption.key-states'")
  writeDatabase(dataDir, 'DELETE FROM records WHERE collection = ?', MARK)
  assert.match(
    await refusedStart(dataDir, '--accept-changed-records'),
    /the mark that every account has a key state was removed/,
  )
})
