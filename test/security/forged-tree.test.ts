import assert from 'node:assert/strict'
import { createSecretKey, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, test } from 'node:test'
import { systemEnv } from '../../src/base/env.ts'
import { openAuditLog } from '../../src/store/audit-log.ts'
import { recordAuthenticator } from '../../src/store/record-mac.ts'
import { SetScan } from '../../src/store/record-set.ts'
import { collection, put } from '../../src/store/records.ts'
import { openSqliteRecords } from '../../src/store/sqlite-records.ts'
import { scanRecords } from '../../src/store/sqlite-scan.ts'
import { temporaryFolder } from '../../src/store/temporary-folder.ts'
import { ownkey } from '../audit/ownkey.fixture.ts'
import { Azure, refusal } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { readDatabase, refusedStart } from './database-writer.ts'
import { forgeTree, type FormerRow } from './forged-tree.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('alpha', 'None')
const { dataDir } = cloud

test('an older record behind a root of the table that leads past the present one ends the start, and verify says so · K2', async () => {
  const file = await account.upload('what an API key opens')
  await cloud.stop()
  const [old] = readDatabase(dataDir, "SELECT * FROM records WHERE collection = 'accounts.accounts'")
  await cloud.restart()
  assert.equal((await account.patch({ properties: { disableLocalAuth: true } })).status, 200)
  assert.equal((await refusal(() => account.download(file)))?.status, 403)
  await cloud.stop()
  forgeTree(join(dataDir, 'records.db'), old as unknown as FormerRow)
  const { code } = await ownkey('audit', 'verify', '--data-dir', dataDir)
  assert.equal(code, 1)
  assert.match(await refusedStart(dataDir), /the records are out of order/u)
})

test('K2: verify searches for each record that it comes by: behind such a root a walk sees the present ones alone', async () => {
  const path = join(temporaryFolder(), 'records.db')
  const authenticator = recordAuthenticator(createSecretKey(randomBytes(32)))
  const records = await openSqliteRecords(path, { authenticator })
  const log = await openAuditLog(records, systemEnv)
  const roles = collection<{ role: string }>('accounts.roles')
  const append = (role: string): Promise<unknown> =>
    log.append({ operationName: role, category: 'AuditEvent', resultType: 'Success' }, [put(roles, 'thief', { role })])
  const rows = (): unknown[] => {
    const database = new DatabaseSync(path)
    const found = database.prepare("SELECT * FROM records WHERE collection = 'accounts.roles'").all()
    database.close()
    return found
  }
  await append('Owner')
  await records.commit([put(collection<object>('zones'), 'last', {})])
  await records.close()
  const [old] = rows()
  const again = await openSqliteRecords(path, { authenticator })
  await again.commit([put(roles, 'thief', { role: 'Reader' })])
  await again.close()
  const look = async () => {
    const database = new DatabaseSync(path)
    const scan = new SetScan(authenticator)
    const { outOfOrder } = await scanRecords(database, authenticator, scan, () => true).finally(() => database.close())
    return outOfOrder
  }
  assert.equal(await look(), undefined)
  forgeTree(path, old as FormerRow)
  assert.equal(await look(), 'accounts.roles')
})
