import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Azure, refusal } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { copyOf, forgeRow, removeRow, rowsIn, writeRows, type Row } from './folder.ts'
import { refusedStart } from './database-writer.ts'
import { prove, written } from './writer.fixture.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('alpha')
const keys = await azure.vault('kv-alpha')
for (const key of ['k1', 'k2']) await keys.createRsaKey(key, { keySize: 2048 })
await azure.policy('kv-alpha', 'add', account.principalId)
const file = await account.upload('kept from the writer')
const RINGS = [
  'encryption.data-keys',
  'encryption.service-keys',
  'encryption.key-states',
  'encryption.closed-generations',
]

/** The current key ring, from a copy of the folder. */
async function ring(): Promise<Row[]> {
  const { path, remove } = await copyOf(cloud.dataDir)
  const rows = RINGS.flatMap(collection => rowsIn(path, collection))
  await remove()
  return rows
}
const only = (rows: readonly Row[], ...collections: string[]): Row[] =>
  rows.filter(({ collection }) => collections.includes(collection))
const encrypt = async (name: string): Promise<void> =>
  assert.equal((await account.encrypt({ vault: 'kv-alpha', name })).status, 200)

const ofService = await ring()
await encrypt('k1')
const underK1 = await ring()
await encrypt('k2')
const before = await ring()

/** Runs with these rows in place of the present key ring, then restores that. */
async function refused(rows: readonly Row[], why: RegExp, without: readonly Row[] = []): Promise<void> {
  await written(cloud, async folder => {
    await writeRows(folder, rows)
    for (const { collection, id } of without) await removeRow(folder, collection, id)
  })
  const attempts = {
    download: () => account.download(file),
    upload: () => account.upload('new'),
    job: () => account.train(file),
    'another key': () => account.encrypt({ vault: 'kv-alpha', name: 'k1' }),
    disable: () => account.encrypt(),
    're-encrypt': () => azure.arm('POST', `${azure.accountPath('alpha')}/reEncrypt`, {}),
  }
  for (const [what, attempt] of Object.entries(attempts)) {
    const refusedBy = await refusal(attempt)
    assert.deepEqual([refusedBy?.status, refusedBy?.code], [500, 'KeyRingTampered'], `${what}: ${refusedBy?.message}`)
    assert.match(refusedBy?.message ?? '', why, what)
    assert.match(refusedBy?.message ?? '', /restore it from a backup/)
  }
  assert.equal((await azure.arm('GET', azure.accountPath('alpha'))).status, 200, 'the account is still shown')
  const { code, problems } = await prove(cloud)
  assert.equal(code, 1)
  assert.match(problems, why)
  await written(cloud, async folder => {
    for (const { collection, id } of rows) await removeRow(folder, collection, id)
    await writeRows(folder, before)
  })
  assert.match((await account.download(file)).toString(), /kept from the writer/)
}

test('K2: a row that the service’s own key wraps, put back under an account with a vault, is refused everywhere and by prove', async () => {
  await refused(
    only(ofService, 'encryption.data-keys', 'encryption.service-keys'),
    /is wrapped by the service's own key, and the account is under https/,
  )
})

test('K2: with the record of the present key put back too, the account’s settings contradict it', async () => {
  const later = before.filter(
    ({ collection, id }) => collection === 'encryption.data-keys' && !ofService.some(row => row.id === id),
  )
  await refused(only(ofService, ...RINGS), /wrapped by the service's own key, and the settings say https/, later)
})

test('K2: rows of the former key are refused, alone and with their record', async () => {
  await refused(only(underK1, 'encryption.data-keys'), /wrapped by https\S+k1\S*, and the account is under https\S+k2/)
  const later = before.filter(
    ({ collection, id }) => collection === 'encryption.data-keys' && !underK1.some(row => row.id === id),
  )
  await refused(
    only(underK1, 'encryption.data-keys', 'encryption.key-states'),
    /k1\S*, and the settings say https\S+k2/,
    later,
  )
})

test('K2: rows of the former key ring that were put back without root.key end the start, though their MACs are valid', async () => {
  await cloud.stop()
  const present = rowsIn(cloud.dataDir, 'encryption.data-keys')
  for (const row of only(underK1, 'encryption.data-keys')) forgeRow(cloud.dataDir, row)
  assert.match(await refusedStart(cloud.dataDir), /changed outside this service, in encryption\.data-keys/)
  for (const row of present) forgeRow(cloud.dataDir, row)
  await cloud.restart()
  assert.match((await account.download(file)).toString(), /kept from the writer/)
})

test('K2: an account without the record of its present key is tampered with, also in a folder whose mark was removed', async () => {
  const states = only(before, 'encryption.key-states')
  await refused([], /the record of its present key is missing/, states)
  await cloud.stop()
  await removeRow(cloud.dataDir, 'encryption.key-states-made', 'made')
  assert.match(await refusedStart(cloud.dataDir), /the mark that every account has a key state was removed/)
})
