import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { test } from 'node:test'

const source = resolve(import.meta.dirname, '../../src')

/**
 * Files that commit without an audit record, how often, and why that is right. A change by a request goes through `audit.append`,
 * `commitRecorded` or `committerOfRequest`, which write both in one commit.
 */
const MAY_COMMIT: Readonly<Record<string, readonly [times: number, why: string]>> = {
  'cloud/own-ports.ts': [1, 'at start'],
  'cloud/open-subscription.ts': [1, 'the first start makes the first subscription'],
  'audit/request-context.ts': [1, 'commitRecorded itself, where nobody asked'],
  'arm/delete-group.ts': [1, 'the work behind a 202, whose deletion is recorded before it begins'],
  'arm/operations.ts': [4, 'what clients poll; the resource that it is about is recorded by its own change'],
  'accounts/account-life.ts': [3, 'the work of a purge, whose end is recorded'],
  'accounts/key-statuses.ts': [1, 'what is seen of keys, at the end of the service'],
  'accounts/re-encryptions.ts': [3, 'the work of a re-encryption, whose beginning and end are recorded'],
  'encryption/change-key.ts': [2, 'pending rows, which never count: the commit that makes them active has the record'],
  'encryption/data-key-generations.ts': [1, 'closed generations of a re-encryption'],
  'encryption/make-key-states.ts': [1, 'at the first start with key states'],
  'encryption/start-up.ts': [1, 'at start'],
  'entra/open-entra.ts': [
    5,
    'at the first start; for the seed; who makes one by a request gives the commit that records it',
  ],
  'entra/codes.ts': [3, 'codes, which count once they are answered: the record of the sign-in comes before that'],
  'entra/device-codes.ts': [4, 'the same'],
  'entra/expired-records.ts': [2, 'what has expired, and codes beyond the most that are kept'],
  'entra/refresh-tokens.ts': [
    3,
    'tokens, which count once they are answered: the record of the sign-in comes before that',
  ],
  'entra/sessions.ts': [2, 'sessions, which count once they are answered: the record of the sign-in comes before that'],
  'entra/tenants.ts': [1, 'for the seed; who makes one by a request gives the commit that records it'],
  'keyvault/diagnostic-export.ts': [2, 'a cursor, and settings of vaults that are gone'],
  'keyvault/purge-vault.ts': [2, 'the work of a purge, whose beginning is recorded'],
  'keyvault/purge.ts': [1, 'the work of a purge'],
  'openai/job-run.ts': [1, 'a checkpoint of a job'],
  'openai/reseal.ts': [1, 'the work of a re-encryption'],
}

test('R05: only the listed files commit without an audit record', async () => {
  const found: Record<string, number> = {}
  for (const entry of await readdir(source, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const name = relative(source, path)
    if (!name.endsWith('.ts') || /\.(test|fixture|child)\.ts$/.test(name) || name.startsWith('store/')) continue
    const times = (await readFile(path, 'utf8')).match(
      /\b#?records\s*\??\.commit\(|\brecords\s*\n\s*\.commit\(/gu,
    )?.length
    if (times !== undefined) found[name] = times
  }
  assert.deepEqual(found, Object.fromEntries(Object.entries(MAY_COMMIT).map(([name, [times]]) => [name, times])))
})
