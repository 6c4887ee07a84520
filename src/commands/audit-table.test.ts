import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AuditTable } from './audit-table.ts'

const record = {
  sequence: 1,
  hash: '',
  entry: {
    time: '2026-01-31T08:09:10.123Z',
    operationName: 'VaultAccessPolicyChangedEventGridNotification',
    category: 'AuditEvent',
    resultType: 'Failed' as const,
    resultDescription: `The user\r\n'appid=${'x'.repeat(300)}' may not \u001b[2Jdo this`,
    durationMs: 12,
    callerIpAddress: '2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff',
    identity: { claim: { 'http://schemas.microsoft.com/identity/claims/objectidentifier': 'o' } },
    properties: {
      httpStatusCode: 403,
      id: 'https://contoso-keys.vault.localhost:8443/keys/at-rest/0123456789abcdef0123456789abcdef',
    },
  },
}

test('no line of the table is wider than the terminal or has control characters', () => {
  for (const width of [80, 120, 200]) {
    const table = new AuditTable({ width, colour: false })
    const text = table.lines([record], { o: `A name \u202e${'n'.repeat(100)}` })
    const lines = text.split('\n').slice(0, -1)
    assert.equal(lines.length, 4)
    for (const line of lines) assert.ok(Array.from(line).length <= width, line)
    assert.doesNotMatch(text.replaceAll('\n', ''), /[\p{Cc}\u202e]/u)
  }
})

test('headings come once, the day once for each day', () => {
  const table = new AuditTable({ width: 80, colour: false })
  assert.match(table.lines([record], {}), /^TIME {6}CODE {2}OPERATION.*\n2026-01-31 ─+\n08:09:10 {2}403/)
  assert.match(table.lines([record], {}), /^08:09:10/)
})
