import assert from 'node:assert/strict'
import { appendFile, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemEnv } from '../base/env.ts'
import { openAuditLog, type AuditLog } from '../store/audit-log.ts'
import { ForwardedRecords } from '../store/forwarded-records.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import { put, type RecordStore } from '../store/records.ts'
import { temporaryFolder } from '../store/temporary-folder.ts'
import { DiagnosticExport } from './diagnostic-export.ts'
import { diagnosticSettings, settingId } from './diagnostic-setting.ts'
import { vaultWith } from './vault.fixture.ts'
import { vaultResourceId, vaults } from './vault-record.ts'

const STORAGE = '/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/logs'
const vault = vaultWith()
const resourceId = vaultResourceId(vault).toUpperCase()

async function opened(): Promise<{ records: RecordStore; log: AuditLog; folder: string }> {
  const records = openMemoryRecords()
  const log = await openAuditLog(records, systemEnv)
  const logs = [{ category: 'AuditEvent', enabled: true }]
  const setting = {
    name: 's',
    vaultId: vault.id,
    vaultName: vault.name,
    resourceId,
    storageAccountId: STORAGE,
    logs,
    after: 0,
  }
  await records.commit([
    put(vaults, vault.name.toLowerCase(), vault),
    put(diagnosticSettings, settingId(vault, 's'), setting),
  ])
  return { records, log, folder: temporaryFolder() }
}

async function add(log: AuditLog, count: number): Promise<void> {
  const entry = { operationName: 'KeyGet', category: 'AuditEvent', resultType: 'Success', resourceId } as const
  for (let index = 0; index < count; index++) await log.append(entry)
}

async function files(folder: string): Promise<string[]> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true })
  return found.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
}

async function sequences(folder: string): Promise<number[]> {
  const texts = await Promise.all((await files(folder)).sort().map(path => readFile(path, 'utf8')))
  return texts
    .join('')
    .split('\n')
    .filter(line => line !== '')
    .map(line => (JSON.parse(line) as { sequence: number }).sequence)
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1)

test('an export that was broken off before its cursor moved still writes each record once', async () => {
  const { records, log, folder } = await opened()
  await add(log, 20)
  const breaking = Object.assign(new ForwardedRecords(records), {
    commit: async () => {
      throw new Error('the power went')
    },
  })
  await assert.rejects(new DiagnosticExport({ records: breaking, auditLog: log, folder }).run(), /the power went/)
  assert.deepEqual(await sequences(folder), upTo(20))
  const [path = ''] = await files(folder)
  await appendFile(path, '{"time":"2026-01-01T00:00')
  await add(log, 10)
  await new DiagnosticExport({ records, auditLog: log, folder }).run()
  assert.deepEqual(await sequences(folder), upTo(30))
})

test('a file that is not as the export left it stops the export', async () => {
  const { records, log, folder } = await opened()
  const exporter = new DiagnosticExport({ records, auditLog: log, folder })
  await add(log, 3)
  await exporter.run()
  const [path = ''] = await files(folder)
  const text = await readFile(path, 'utf8')
  await appendFile(path, 'no JSON\n')
  await add(log, 3)
  await assert.rejects(exporter.run(), /move the file away/)
  await writeFile(path, text)
  await exporter.run()
  assert.deepEqual(await sequences(folder), upTo(6))
})

test('a record goes to exactly the storage accounts with a setting for it', async () => {
  const { records, log, folder } = await opened()
  const base = { vaultId: vault.id, vaultName: vault.name, resourceId, after: 2 }
  const to = (name: string, enabled: boolean) =>
    put(diagnosticSettings, settingId(vault, name), {
      ...base,
      name,
      storageAccountId: STORAGE.replace('logs', name),
      logs: [{ categoryGroup: 'allLogs', enabled }],
    })
  await records.commit([to('second', true), to('third', false)])
  await add(log, 4)
  await log.append({ operationName: 'x', category: 'AuditEvent', resultType: 'Success', resourceId: '/ANOTHER' })
  await new DiagnosticExport({ records, auditLog: log, folder }).run()
  assert.deepEqual((await readdir(folder)).sort(), ['logs', 'second'])
  assert.deepEqual(await sequences(join(folder, 'logs')), upTo(4))
  assert.deepEqual(await sequences(join(folder, 'second')), [3, 4])
})
