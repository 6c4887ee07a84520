import { accounts } from '../accounts/account.ts'
import { eachForItself } from '../base/each-for-itself.ts'
import { repeatedly, type Repeating } from '../base/repeatedly.ts'
import { seldom } from '../base/seldom.ts'
import { DiagnosticExport } from '../keyvault/diagnostic-export.ts'
import type { KeyVault } from '../keyvault/open-keyvault.ts'
import { leading, type LeaderTask } from '../store/leading.ts'
import type { Management } from './management.ts'
import type { ModulesOptions } from './modules-options.ts'
import { OrphanCollector } from './orphan-collector.ts'
import type { Service } from './service.ts'

const MAINTENANCE_MS = 30_000
const FLUSH_MS = 60_000
const EXPORT_MS = 1000
const HOURLY_MS = 3_600_000

/** Scheduled maintenance, and other tasks that run by themselves. */
export interface Maintenance {
  /** Begins: waiting jobs, due purges and rotations, the watch over customers' keys. */
  start(): Promise<void>
  /** Ends the tasks that ask vaults, while this cloud's own vaults still answer. */
  stop(): Promise<void>
  close(): Promise<void>
}

type Told = (message: string) => (error: unknown) => void

interface MaintenanceOptions {
  /** Does what is due by the clock. */
  readonly due: () => Promise<void>
  /** Writes records of refusals that were only counted. */
  readonly flush: () => Promise<void>
  readonly keyVault: Pick<KeyVault, 'forgetIdle' | 'followOthers'>
  readonly service: Service
  readonly management: Management
  readonly options: Pick<ModulesOptions, 'records' | 'blobs' | 'quarantine' | 'audit' | 'diagnosticsFolder' | 'log'>
}

/** @throws the failures, when everything else is done */
export async function dueTasks(keyVault: KeyVault, { life }: Service): Promise<void> {
  const tasks = eachForItself()
  await tasks.attempt(() => keyVault.maintain())
  await tasks.attempt(() => life.maintain())
  tasks.end()
}

/** Starts what runs by itself, until it is closed. */
export function openMaintenance(given: MaintenanceOptions): Maintenance {
  const { service, management, options } = given
  const repeating: Repeating[] = []
  const recording: Repeating[] = []
  const following: { close(): unknown }[] = []
  const isNews = seldom()
  const told = (message: string) => (error: unknown) => {
    if (isNews(`${message} ${String(error)}`)) options.log({ level: 'error', message, error: String(error) })
  }
  return {
    start: async () => {
      following.push(...followOthers(service, told), given.keyVault.followOthers())
      await service.keyStatuses.load()
      service.watch.start()
      await service.runner.start()
      await resume(given)
      repeating.push(...tasks(given, told))
      recording.push(...recordingTasks(given, told))
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
      for (const one of repeating.splice(0)) await one.stop()
      // Last, since these write what the others have recorded.
      for (const one of recording.splice(0)) await one.stop('finally')
    },
  }
}

/** Goes on with what a process that is gone, or the last run of this one, has left undone. */
async function resume({ service, management }: MaintenanceOptions): Promise<void> {
  await service.reEncryptions.resume()
  await management.resume()
}

function followOthers({ keyStatuses, running, keyRing, earlierBlobs }: Service, told: Told): { close(): unknown }[] {
  return [
    keyStatuses.followOthers(),
    earlierBlobs.followOthers(),
    running.followOthers(told('What other processes deleted could not be ended')),
    keyRing.followOthers(({ collection, id }) => (collection === accounts.name ? id : undefined)),
  ]
}

const oneOf =
  ({ service }: MaintenanceOptions, told: Told) =>
  (name: string, everyMs: number, run: LeaderTask, failed: string): Repeating =>
    leading(service.leases, { name, everyMs }, run, told(failed))

function tasks(given: MaintenanceOptions, told: Told): Repeating[] {
  const { management, due, options } = given
  const { records, blobs, quarantine, audit, log } = options
  const one = oneOf(given, told)
  const collector = quarantine && new OrphanCollector({ records, blobs, quarantine, audit, log })
  const isShared = records.properties.shared
  return [
    one('maintenance', MAINTENANCE_MS, due, 'Maintenance failed'),
    repeatedly(async () => given.keyVault.forgetIdle(), MAINTENANCE_MS, told('Idle keys could not be dropped')),
    ...(isShared
      ? [repeatedly(() => resume(given), MAINTENANCE_MS, told('What other processes left could not be taken up'))]
      : []),
    one('ended-operations', HOURLY_MS, () => management.forgetEnded(), 'Ended operations could not be forgotten'),
    ...(collector === undefined
      ? []
      : [one('orphans', HOURLY_MS, () => collector.run(), 'Blobs without a record could not be set aside')]),
  ]
}

function recordingTasks(given: MaintenanceOptions, told: Told): Repeating[] {
  const { records, audit: auditLog, diagnosticsFolder: folder } = given.options
  const exporter = new DiagnosticExport({ records, auditLog, folder })
  const run: LeaderTask = ({ fence }) => exporter.run(fence)
  return [
    repeatedly(given.flush, FLUSH_MS, told('Refusals that were counted could not be recorded')),
    oneOf(given, told)('diagnostic-export', EXPORT_MS, run, 'Audit records could not be exported'),
  ]
}
