import assert from 'node:assert/strict'
import { createSecretKey, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { systemEnv } from '../base/env.ts'
import { openAuditLog } from './audit-log.ts'
import { faultAgainst, formatKnownHead, parseKnownHead, presentHead } from './known-head.ts'
import { openMemoryRecords } from './memory-records.ts'
import { recordAuthenticator } from './record-mac.ts'
import { collection, put } from './records.ts'

const things = collection<number>('things')
const authenticator = recordAuthenticator(createSecretKey(randomBytes(32)))
const env = { ...systemEnv, now: () => 1_700_000_000_000 }
const entry = (operationName: string) => ({ operationName, category: 'AuditEvent', resultType: 'Success' as const })

/** A store in which so many things were recorded: the same names make the same history. */
async function storeWith(...names: readonly string[]) {
  const records = openMemoryRecords(authenticator)
  const log = await openAuditLog(records, env)
  for (const name of names) await log.append(entry(name), [put(things, name, name.length)])
  return { records, log, known: await presentHead(records, log) }
}

test('a folder is as it was known, or a later state of that, and nothing else', async () => {
  const { records, log, known } = await storeWith('a', 'b')
  assert.equal(await faultAgainst(known, records, log), undefined)
  assert.deepEqual(parseKnownHead(`${formatKnownHead(known)}\n`), known)
  await log.append(entry('c'), [put(things, 'c', 3)])
  assert.equal(await faultAgainst(known, records, log), undefined)
  const before = await storeWith('a')
  assert.match((await faultAgainst(known, before.records, before.log)) ?? '', /it is an older state/)
})

test('K2: as many changes with other records, or with another history, are not the folder that was known', async () => {
  const { known } = await storeWith('a', 'b')
  const other = await storeWith('a', 'c')
  assert.match((await faultAgainst(known, other.records, other.log)) ?? '', /with other records than were known/)
  await other.log.append(entry('d'))
  assert.match((await faultAgainst(known, other.records, other.log)) ?? '', /its history is another one/)
  // The same history, and a record that it does not tell of.
  const silent = await storeWith('a', 'b')
  await silent.records.commit([put(things, 'a', 99)])
  const now = await presentHead(silent.records, silent.log)
  const same = await storeWith('a', 'b')
  await same.records.commit([put(things, 'a', 98)])
  assert.match((await faultAgainst(now, same.records, same.log)) ?? '', /with other records than were known/)
})

test('what is not a line of a known head is refused', () => {
  const tag = 'a'.repeat(32)
  for (const text of [
    '',
    '1',
    `1:${tag}:1`,
    `1:${tag}:1:${tag}:`,
    `1:${tag.toUpperCase()}:1:${tag}`,
    `-1:${tag}:1:${tag}`,
  ])
    assert.throws(() => parseKnownHead(text), /one line as `ownkey audit head` prints it/)
})
