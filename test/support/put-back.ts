import assert from 'node:assert/strict'
import { forgeRow, rowsIn, writeRows, type Row } from '../security/folder.ts'
import { refusedStart } from '../security/database-writer.ts'
import type { Keyed } from './causes.ts'
import type { TestCloud } from './cloud.ts'

const RING = 'encryption.data-keys'
/** The rows that were replaced, by data folder. */
const present = new Map<string, readonly Row[]>()

/**
 * Puts the rows of the former key in place of the present ones. Without root.key the service does not start, though their MACs are
 * valid. With it (or after a bug of the service itself) only the account is closed.
 */
export async function putBack(keyed: Keyed, cloud: TestCloud): Promise<void> {
  await cloud.stop()
  const former = rowsIn(cloud.dataDir, RING)
  await cloud.restart()
  const { properties } = await keyed.keys.getKey(keyed.key)
  await changeTo(keyed, properties.version ?? '')
  await cloud.stop()
  const before = rowsIn(cloud.dataDir, RING)
  const replaced = former.filter(row => before.some(({ id, value }) => id === row.id && value.mac !== row.value.mac))
  const now = before.filter(({ id }) => replaced.some(row => row.id === id))
  for (const row of replaced) forgeRow(cloud.dataDir, row)
  assert.match(await refusedStart(cloud.dataDir), /changed outside this service, in encryption\.data-keys/)
  for (const row of now) forgeRow(cloud.dataDir, row)
  await writeRows(cloud.dataDir, replaced)
  present.set(cloud.dataDir, now)
  await cloud.restart()
}

/** The present rows again, and the key that the account was under. */
export async function takeAway(keyed: Keyed, cloud: TestCloud): Promise<void> {
  await cloud.stop()
  await writeRows(cloud.dataDir, present.get(cloud.dataDir) ?? [])
  await cloud.restart()
  await changeTo(keyed, keyed.version)
}

async function changeTo({ account, uri, key }: Keyed, version: string): Promise<void> {
  const { status, body } = await account.encrypt({ uri, name: key, version })
  assert.equal(status, 200, JSON.stringify(body))
}
