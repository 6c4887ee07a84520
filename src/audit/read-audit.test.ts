import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemEnv } from '../base/env.ts'
import { openAuditLog } from '../store/audit-log.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import { parseSince, readAudit } from './read-audit.ts'

const VAULTS = '/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults'

test('a reader who continues from the end of each page sees every record that fits, once, in both directions', async () => {
  const log = await openAuditLog(openMemoryRecords(), systemEnv)
  const appended = Array.from({ length: 1300 }, (_, index) =>
    log.append({
      operationName: String(index),
      category: 'AuditEvent',
      resultType: 'Success',
      resourceId: `${VAULTS}/${index % 10 === 0 ? 'mine' : 'mine-not'}`.toUpperCase(),
    }),
  )
  await Promise.all(appended)
  for (const newestFirst of [false, true]) {
    const seen: number[] = []
    let after: number | undefined
    for (let more = true; more;) {
      const page = await readAudit(log, { vault: 'Mine', limit: 7, newestFirst, after })
      seen.push(...page.records.map(({ entry }) => Number(entry.operationName)))
      after = page.end
      more = page.more
    }
    const expected = Array.from({ length: 130 }, (_, index) => index * 10)
    assert.deepEqual(seen, newestFirst ? expected.reverse() : expected)
  }
})

test('a deleted vault is found by its name too', async () => {
  const log = await openAuditLog(openMemoryRecords(), systemEnv)
  const base = { operationName: 'x', category: 'AuditEvent', resultType: 'Success' } as const
  await log.append({ ...base, resourceId: '/SUBSCRIPTIONS/S', properties: { id: `${VAULTS}/mine` } })
  await log.append({
    ...base,
    resourceId: '/SUBSCRIPTIONS/S/PROVIDERS/MICROSOFT.KEYVAULT/LOCATIONS/L/DELETEDVAULTS/MINE',
  })
  await log.append({ ...base, resourceId: '/SUBSCRIPTIONS/S' })
  assert.equal((await readAudit(log, { vault: 'mine', limit: 10 })).records.length, 2)
})

test('since takes a time or how long ago', () => {
  const now = Date.UTC(2026, 0, 31)
  assert.equal(parseSince('24h', now), now - 86_400_000)
  assert.equal(parseSince('7d', now), now - 7 * 86_400_000)
  assert.equal(parseSince('2026-01-02', now), Date.UTC(2026, 0, 2))
  assert.equal(parseSince('2026-01-02T03:04', now), Date.UTC(2026, 0, 2, 3, 4))
  assert.equal(parseSince('2026-01-02T03:04:05+01:00', now), Date.UTC(2026, 0, 2, 2, 4, 5))
  for (const bad of ['', 'yesterday', '2026-13-01', '7', '-7d', '7d; drop'])
    assert.equal(parseSince(bad, now), undefined)
})
