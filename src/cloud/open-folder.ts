import { join } from 'node:path'
import { namedKeyOf } from '../accounts/named-key.ts'
import { compareBlobs } from './blob-inventory.ts'
import { storedOffset, type ControlledClock } from '../clock/controlled-clock.ts'
import type { CloudOptions } from './options.ts'
import { describeFips, readFipsState } from '../crypto/fips-module.ts'
import { recordAcceptedKeyStates } from '../encryption/accepted-key-states.ts'
import { shredding } from '../encryption/destruction.ts'
import { makeKeyStates } from '../encryption/make-key-states.ts'
import { openRootKeys, type RootKeys } from '../encryption/root-key.ts'
import { dropBrokenOffChanges, referencedBlobs } from '../encryption/start-up.ts'
import { administrators } from '../entra/records.ts'
import { openBase } from '../encryption/sealed-base.ts'
import type { Gpu } from '../engines/gpu.ts'
import { seldom } from '../base/seldom.ts'
import { openModels } from '../engines/models-file.ts'
import type { Env } from '../base/env.ts'
import type { FolderInventory } from './folder-inventory.ts'
import { Snapshots } from '../folder/snapshots.ts'
import { dropSnapshot } from '../folder/state-files.ts'
import { auditHeadMac, openFolderRecords } from '../folder/folder-records.ts'
import { openFreshness } from '../folder/freshness.ts'
import { readPinFile } from '../pkcs11/pin-file.ts'
import { openToken, type Token } from '../pkcs11/token.ts'
import { plainError } from '../base/plain-error.ts'
import { wireModules, type Modules } from './wire.ts'
import { openAuditLog, type AuditLog } from '../store/audit-log.ts'
import { openDirectoryBlobs } from '../store/directory-blobs.ts'
import { holdable, type HeldBlobs } from '../store/held-blobs.ts'
import { openQuarantine } from '../store/quarantine.ts'
import type { FileRecords, RecordStore, ShredIncomplete } from '../store/records.ts'
import { openTamperingReport, type TamperingReport } from './tampering-report.ts'

export interface Settings extends CloudOptions {
  readonly env: Env
  readonly clock: ControlledClock | undefined
  readonly log: (line: object) => void
  readonly port: number
  readonly domain: string
  readonly inventory: FolderInventory
  readonly gpu: Gpu
  /** The root key from OWNKEY_ROOT_KEY. */
  readonly rootKey: string | undefined
}

/** Opens everything in a locked data folder. @throws Error that names what is missing or damaged; then nothing is made beside it */
export async function openFolder(settings: Settings, closers: (() => Promise<void>)[]): Promise<Modules> {
  const { dataDir, env, port } = settings
  const { isNew } = settings.inventory
  const rootKeys = await openRootKeys({
    file: join(dataDir, 'root.key'),
    fromEnvironment: settings.rootKey,
    ...(isNew ? { makeWith: env } : {}),
  })
  const token = await openTokenOf(settings)
  if (token !== undefined) closers.push(() => token.close())
  const tampering = openTamperingReport(settings)
  const records = await openRecords(settings, rootKeys, tampering)
  closers.push(() => records.close())
  await settings.clock?.load(records)
  if (settings.clock === undefined && (await storedOffset(records)) !== 0)
    settings.log({
      level: 'warning',
      message: "The clock of this folder was moved earlier. Without --clock-control this machine's time rules again.",
    })
  const audit = await openAudit(settings, records, rootKeys)
  const last = await timeOfLast(audit)
  const freshness = await openFreshness({ ...settings, records, audit })
  closers.push(() => freshness.close())
  tampering.recordIn(audit)
  const blobs = await openBlobs(settings, { records, audit, last })
  const snapshots = openSnapshots(settings, { records, blobs }, closers)
  const macKey = rootKeys.mac
  await makeKeyStates({ records, macKey, audit, settingsOf: id => namedKeyOf(records, id), log: settings.log })
  if (tampering.wasAccepted) await recordAcceptedKeyStates({ records, audit, log: settings.log })
  await recordFips(audit)
  const modules = await wireModules({
    env,
    clock: settings.clock,
    diagnosticsFolder: settings.diagnosticsFolder ?? join(settings.dataDir, 'diagnostics'),
    port,
    domain: settings.domain,
    records,
    dataDir,
    blobs,
    quarantine: openQuarantine(join(dataDir, 'blobs')),
    snapshots,
    bases: await openModels(dataDir, (path, sealed) => openBase(path, sealed, rootKeys)),
    audit,
    rootKeys,
    token,
    keyLeaseSeconds: settings.keyLeaseSeconds,
    keyWatchSeconds: settings.keyWatchSeconds ?? 60,
    jobsAtOnce: settings.jobsAtOnce,
    engineTimeoutSeconds: settings.engineTimeoutSeconds,
    engines: settings.engines,
    gpu: settings.gpu,
    outsideVaults: settings.outsideVaults ?? [],
    federatedIssuers: settings.federatedIssuers ?? [],
    allowPasswordGrant: settings.allowPasswordGrant ?? false,
    location: settings.location,
    log: settings.log,
  })
  closers.push(() => modules.close())
  return modules
}

/** @throws Error where the records of a folder that is not new have no administrator, or the end of the log was changed */
async function openAudit(
  { dataDir, env, inventory }: Settings,
  records: RecordStore,
  keys: RootKeys,
): Promise<AuditLog> {
  const hasAdministrator = (await records.count(administrators)) > 0
  if (!inventory.isNew && !hasAdministrator)
    throw new Error(
      `The records in ${dataDir} have no administrator: they are not whole. Restore the data folder from a backup. Nothing was made in its place.`,
    )
  // A folder with an administrator has had a log since its first start.
  const log = await openAuditLog(records, env, { mac: auditHeadMac(keys), isNew: !hasAdministrator })
  await log.mustGoOn()
  return log
}

/** Lets a backup copy records and blobs while they are used. */
function openSnapshots(
  settings: Settings,
  stores: { readonly records: FileRecords; readonly blobs: HeldBlobs },
  closers: (() => Promise<void>)[],
): Snapshots {
  const snapshots = new Snapshots({ ...settings, ...stores })
  closers.push(() => snapshots.close())
  return snapshots
}

/** Opens the blobs and compares them with the records. @throws Error where they are not of one moment */
async function openBlobs(
  settings: Settings,
  { records, audit, last }: { records: FileRecords; audit: AuditLog; last: number | undefined },
): Promise<HeldBlobs> {
  const folder = join(settings.dataDir, 'blobs')
  await dropSnapshot(settings.dataDir)
  const blobs = holdable(await openDirectoryBlobs(folder))
  await dropBrokenOffChanges(records)
  const referenced = await referencedBlobs(records)
  // Where a record can't be read, the blob that it names would look like one without a record.
  if (referenced === undefined) return blobs
  await compareBlobs({
    blobs,
    quarantine: openQuarantine(folder),
    referenced: referenced.kept,
    going: referenced.going,
    accept: settings.acceptChangedRecords ?? false,
    folder,
    audit,
    log: settings.log,
    last,
  })
  return blobs
}

/** Time of the last audit record, in ms. */
async function timeOfLast(audit: AuditLog): Promise<number | undefined> {
  const [last] = await audit.list({ limit: 1, reverse: true })
  return last === undefined ? undefined : Date.parse(last.entry.time)
}

/** @throws RecordsChanged where they are not those that were written last, and the operator did not accept that */
async function openRecords(settings: Settings, rootKeys: RootKeys, tampering: TamperingReport): Promise<FileRecords> {
  const { acceptChangedRecords, dataDir, log } = settings
  const changed = acceptChangedRecords ? 'accept' : 'refuse'
  const onHeadFailure = (error: Error): void =>
    log({ level: 'error', message: 'records.head could not be written', error: plainError(error) })
  const records = await openFolderRecords(dataDir, rootKeys, { ...tampering, changed, onHeadFailure })
  // Each commit tries it.
  const isNews = seldom()
  const owed = ({ reason }: ShredIncomplete): void => {
    if (isNews(reason)) log({ level: 'error', message: 'What was destroyed is still to be erased', error: reason })
  }
  return Object.assign(shredding(records, owed), { copyTo: (path: string) => records.copyTo(path) })
}

/** R02: records the provider of this run in the log, for later readers. */
async function recordFips(audit: AuditLog): Promise<void> {
  const state = readFipsState()
  if (state.status !== 'active') return
  const entry = {
    operationName: 'OwnKey/fips/start',
    category: 'AuditEvent',
    resultType: 'Success' as const,
    resultDescription: `This run is on ${describeFips(state)}.`,
    properties: { ...state.module },
  }
  await audit.append(entry, [], { reserve: 'small' })
}

/** Before anything else is opened, so that a wrong module, token or PIN ends the start. */
async function openTokenOf({ pkcs11 }: Settings): Promise<Token | undefined> {
  if (pkcs11 === undefined) return undefined
  const { modulePath, pinFile, label } = pkcs11
  return openToken({ modulePath, label, pin: () => readPinFile(pinFile) })
}
