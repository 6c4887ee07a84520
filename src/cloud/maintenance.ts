import { accounts } from '../accounts/account.ts'
import { eachForItself } from '../base/each-for-itself.ts'
import { repeatedly, type Repeating } from '../base/repeatedly.ts'
import { DiagnosticExport } from '../keyvault/diagnostic-export.ts'
import type { KeyVault } from '../keyvault/open-keyvault.ts'
import type { Leases } from '../store/leases.ts'
import { leading } from './leading.ts'
import type { Management } from './management.ts'
import type { ModulesOptions } from './modules-options.ts'
import { OrphanCollector } from './orphan-collector.ts'
import type { Service } from './service.ts'

const MAINTENANCE_MS = 30_000
const FLUSH_MS = 60_000
const EXPORT_MS = 1000
const ORPHANS_MS = 3_600_000

/** What runs by itself. */
export interface Maintenance {
  /** Begins it: waiting jobs, due purges and rotations, the watch over customers' keys. */
  start(): Promise<void>
  /** Ends what asks vaults by itself, while this cloud's own still answer. */
  stop(): Promise<void>
  close(): Promise<void>
}

interface MaintenanceOptions {
  /** What is due by the clock. */
  readonly due: () => Promise<void>
  /** Records refusals that were only counted. */
  readonly flush: () => Promise<void>
  readonly options: Pick<ModulesOptions, 'records' | 'blobs' | 'quarantine' | 'audit' | 'diagnosticsFolder' | 'log'>
}

/** @throws what failed, when all else is done */
export async function dueTasks(keyVault: KeyVault, { life }: Service): Promise<void> {
  const tasks = eachForItself()
  await tasks.attempt(() => keyVault.maintain())
  await tasks.attempt(() => life.maintain())
  tasks.end()
}

/** What runs by itself, until it is closed. */
export function openMaintenance(
  service: Service,
  management: Management,
  { due, flush, options }: MaintenanceOptions,
): Maintenance {
  const { log, records, audit: auditLog, diagnosticsFolder: folder } = options
  const exporter = new DiagnosticExport({ records, auditLog, folder })
  const repeating: Repeating[] = []
  const following: { close(): unknown }[] = []
  const told = (message: string) => (error: unknown) => log({ level: 'error', message, error: String(error) })
  const { leases } = service
  const resume = async (): Promise<void> => {
    await service.reEncryptions.resume()
    await management.resume()
  }
  return {
    start: async () => {
      await service.keyStatuses.load()
      following.push(service.keyStatuses.followOthers())
      following.push(service.running.followOthers(told('What other processes deleted could not be ended')))
      following.push(
        service.keyRing.followOthers(({ collection, id }) => (collection === accounts.name ? id : undefined)),
      )
      service.watch.start()
      await service.runner.start()
      await resume()
      const whatIsDue = { name: 'maintenance', everyMs: MAINTENANCE_MS }
      repeating.push(
        leading(leases, whatIsDue, due, told('Maintenance failed')),
        // What a process that is gone has left is taken up by any other.
        ...(records.properties.shared
          ? [repeatedly(resume, MAINTENANCE_MS, told('What other processes left could not be taken up'))]
          : []),
        ...collecting(options, leases, told('Blobs without a record could not be set aside')),
        repeatedly(flush, FLUSH_MS, told('Refusals that were counted could not be recorded')),
        // The last to stop: it writes what the others have recorded.
        leading(
          leases,
          { name: 'diagnostic-export', everyMs: EXPORT_MS },
          ({ fence }) => exporter.run(fence),
          told('Audit records could not be exported'),
        ),
      )
    },
    stop: async () => {
      for (const one of following.splice(0)) await one.close()
      await service.runner.close()
      await service.watch.close()
      await service.reEncryptions.close()
      await service.keyStatuses.close()
    },
    close: async () => {
      await management.settle()
      await service.running.stopAll()
      const [maintenance, ...recording] = repeating.splice(0)
      await maintenance?.stop()
      for (const one of recording) await one.stop('finally')
    },
  }
}

/** One process looks for blobs without a record. */
function collecting(
  { records, blobs, quarantine, audit, log }: MaintenanceOptions['options'],
  leases: Leases,
  onFailure: (error: unknown) => void,
): Repeating[] {
  if (quarantine === undefined) return []
  const collector = new OrphanCollector({ records, blobs, quarantine, audit, log })
  return [leading(leases, { name: 'orphans', everyMs: ORPHANS_MS }, () => collector.run(), onFailure)]
}
