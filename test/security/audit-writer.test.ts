import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { ownkey } from '../audit/ownkey.fixture.ts'
import { Azure } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { readDatabase, refusedStart, writeDatabase } from './database-writer.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('audited', 'None')
const { dataDir } = cloud
await account.upload('recorded')
await cloud.stop()

const ENTRIES = "collection = 'audit-entries'"
const LAST = `${ENTRIES} AND id = (SELECT max(id) FROM records WHERE ${ENTRIES})`
const [{ id: lastId = '' } = {}] = readDatabase(dataDir, `SELECT id FROM records WHERE ${LAST}`)
const last = Number(lastId)

async function verify(): Promise<{ code: number; text: string }> {
  const { code, output, errors } = await ownkey('audit', 'verify', '--data-dir', dataDir)
  return { code, text: `${output}${errors}`.replaceAll(/\s+/g, ' ') }
}

/** What a writer of the database does to the log, how it is undone, and what verify reports. */
const WRITTEN: readonly [what: string, written: string, undone: string, told: string][] = [
  [
    'the last entry changed',
    `UPDATE records SET value = ' ' || value WHERE ${LAST}`,
    `UPDATE records SET value = substr(value, 2) WHERE ${LAST}`,
    `record ${last}: the entry was changed or moved`,
  ],
  [
    'an entry behind the last, whose MAC is not ours',
    `INSERT INTO records SELECT collection, '9' || substr(id, 2), version, value, mac FROM records WHERE ${LAST}`,
    `DELETE FROM records WHERE ${ENTRIES} AND id LIKE '9%'`,
    `record ${last + 1}: entries stand behind the head of the log`,
  ],
  [
    'an entry before the first',
    `INSERT INTO records SELECT collection, '!' || id, version, value, mac FROM records WHERE ${LAST}`,
    `DELETE FROM records WHERE ${ENTRIES} AND id LIKE '!%'`,
    'record 1: something stands before the first entry',
  ],
  [
    'the first entry deleted',
    `UPDATE records SET collection = 'aside' WHERE ${ENTRIES} AND id = '0000000000000001'`,
    `UPDATE records SET collection = 'audit-entries' WHERE collection = 'aside'`,
    'record 1: the entry is missing',
  ],
]

for (const [what, written, undone, told] of WRITTEN)
  test(`audit verify names the record for ${what}, and prove and verify fail`, async () => {
    assert.equal(writeDatabase(dataDir, written), 1)
    const { code, text } = await verify()
    assert.equal(code, 1)
    assert.ok(text.includes(`The audit log was changed: ${told}`), text)
    const folder = await ownkey('verify', '--data-dir', dataDir)
    assert.equal(folder.code, 1)
    assert.match(folder.output, /the audit log was changed at record/)
    assert.equal(writeDatabase(dataDir, undone), 1)
    assert.equal((await verify()).code, 0)
  })

test('a cloud whose last audit entry was changed does not start, since it could not record anything', async () => {
  writeDatabase(dataDir, WRITTEN[0]?.[1] ?? '')
  const told = await refusedStart(dataDir)
  assert.match(told, /The audit log was changed from outside\. Run `ownkey audit verify`/)
  assert.equal(await refusedStart(dataDir, '--accept-changed-records'), told)
  writeDatabase(dataDir, WRITTEN[0]?.[2] ?? '')
  await cloud.restart()
  assert.match((await account.download(await account.upload('recorded again'))).toString(), /recorded again/)
})
