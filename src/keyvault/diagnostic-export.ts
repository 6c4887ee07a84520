import { join } from 'node:path'
import type { AuditLog } from '../store/audit-log.ts'
import type { AuditEntry } from '../store/audit-entry.ts'
import { unlessConflict } from '../store/conflicts.ts'
import { appendLines, type SequencedLine } from '../store/line-file.ts'
import { allRecords } from '../store/every-record.ts'
import { collection, put, remove, type Change, type RecordStore, type Stored } from '../store/records.ts'
import { diagnosticSettings, storageAccountOf, wantsAuditEvents, type DiagnosticSetting } from './diagnostic-setting.ts'
import { vaults } from './vault-record.ts'

export interface DiagnosticExportOptions {
  readonly records: RecordStore
  readonly auditLog: Pick<AuditLog, 'list'>
  /** The operator's folder. Requests name folders below it. */
  readonly folder: string
}

/** How far the audit log was exported; one record, `cursor`. */
const cursors = collection<{ readonly after: number }>('keyvault.diagnostic-cursor')
const CURSOR = 'cursor'
const PAGE = 500
const KEEP_EVERY = 10_000

/**
 * Writes the audit records of vaults with diagnostic settings as JSON lines, in the layout of Azure's storage container:
 * `<folder>/<storage account>/insights-logs-auditevent/resourceId=…/y=2026/m=01/d=31/h=23/m=00/PT1H.json`.
 */
export class DiagnosticExport {
  readonly #options: DiagnosticExportOptions
  #after: number | undefined
  #kept = 0

  constructor(options: DiagnosticExportOptions) {
    this.#options = options
  }

  /**
   * Brings the files up to the end of the log; one call at a time. Each record is written once: the cursor moves after
   * the files are durable, and records that they already hold are not written again. @throws when the folder can't be written
   * @param fence of the process that exports for all
   */
  async run(fence: readonly Change[] = []): Promise<void> {
    const { records, auditLog } = this.#options
    // Another process may have exported since, so its cursor counts, and records that the files hold are not written again.
    const kept = (await records.get(cursors, CURSOR))?.value.after ?? 0
    this.#after = Math.max(this.#after ?? 0, kept)
    // In this order, so that no record after the making of a setting is skipped.
    const [newest] = await auditLog.list({ limit: 1, reverse: true })
    const settings = await allRecords(records, diagnosticSettings)
    if (settings.length === 0) this.#after = newest?.sequence ?? 0
    const byResource = Map.groupBy(settings, ({ value }) => value.resourceId)
    for (;;) {
      const page = await auditLog.list({ after: this.#after, limit: PAGE })
      const last = page.at(-1)?.sequence
      if (last === undefined) break
      const files = new Map<string, SequencedLine[]>()
      for (const { sequence, entry } of page) {
        for (const { value } of byResource.get(entry.resourceId ?? '') ?? []) {
          if (sequence <= value.after || !wantsAuditEvents(value)) continue
          const path = this.#pathOf(value, entry)
          files.set(path, [...(files.get(path) ?? []), { sequence, text: lineOf(sequence, entry) }])
        }
      }
      for (const [path, lines] of files) await appendLines(path, lines)
      this.#after = last
      await this.#keepCursor(files.size > 0, fence)
    }
    for (const setting of settings) await this.#dropIfPurged(setting)
  }

  /** Where no setting needs the records, the next start may look at some of them again. */
  async #keepCursor(wroteFiles: boolean, fence: readonly Change[]): Promise<void> {
    const after = this.#after ?? 0
    if (!wroteFiles && after - this.#kept < KEEP_EVERY) return
    await this.#options.records.commit([...fence, put(cursors, CURSOR, { after })])
    this.#kept = after
  }

  #pathOf({ storageAccountId, resourceId }: DiagnosticSetting, { time }: AuditEntry): string {
    const account = storageAccountOf(storageAccountId)
    if (account === undefined) throw new Error(`'${storageAccountId}' is not a storage account.`)
    const [year, month, day, hour] = time.split(/[-T:]/)
    const hourly = [`y=${year}`, `m=${month}`, `d=${day}`, `h=${hour}`, 'm=00', 'PT1H.json']
    return join(this.#options.folder, account, 'insights-logs-auditevent', `resourceId=${resourceId}`, ...hourly)
  }

  /** Removes the setting of a deleted vault after its last record was written, so that a later vault of its name does not inherit it. */
  async #dropIfPurged({ id, version, value }: Stored<DiagnosticSetting>): Promise<void> {
    const vault = await this.#options.records.get(vaults, value.vaultName.toLowerCase())
    if (vault?.value.id === value.vaultId) return
    await this.#options.records.commit([remove(diagnosticSettings, id, version)]).catch(unlessConflict)
  }
}

/** Azure writes the duration as a string. `sequence` is ours; it finds the record in the audit log. */
function lineOf(sequence: number, entry: AuditEntry): string {
  const { time, resourceId, operationName, operationVersion, category, durationMs = 0, ...rest } = entry
  const first = { time, resourceId, operationName, operationVersion, category }
  return JSON.stringify({ ...first, ...rest, durationMs: String(durationMs), sequence })
}
