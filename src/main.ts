import { readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { describeFips, readFipsState } from './crypto/fips-module.ts'
import { checkKnownAnswers } from './crypto/known-answers.ts'
import { controlledClock, storedOffset, type ControlledClock } from './clock/controlled-clock.ts'
import type { Administration } from './administration.ts'
import { openDataFolder } from './data-folder.ts'
import { administrators } from './entra/records.ts'
import { systemEnv, type Env } from './env.ts'
import { endpointsFile, type Endpoints } from './endpoints.ts'
import { auditHeadMac, openFolderRecords } from './folder-records.ts'
import { openFreshness } from './freshness.ts'
import { namedKeyOf } from './accounts/named-key.ts'
import { shredding } from './encryption/destruction.ts'
import { recordAcceptedKeyStates } from './encryption/accepted-key-states.ts'
import { makeKeyStates } from './encryption/make-key-states.ts'
import { openRootKeys, type RootKeys } from './encryption/root-key.ts'
import { dropBrokenOffChanges, referencedBlobs } from './encryption/start-up.ts'
import { openCertificates } from './http/certificates.ts'
import { listenMetadata } from './entra/metadata.ts'
import { listen } from './http/listen.ts'
import { readPinFile } from './pkcs11/pin-file.ts'
import { openToken, type Token } from './pkcs11/token.ts'
import { openRooms, type Rooms } from './rooms.ts'
import { writeFileAtomically } from './store/atomic-file.ts'
import { openAuditLog, type AuditLog } from './store/audit-log.ts'
import { openDirectoryBlobs } from './store/directory-blobs.ts'
import { closeToOthers } from './store/folder-modes.ts'
import { lockFolder } from './store/folder-lock.ts'
import { sweepOrphans } from './store/orphans.ts'
import type { RecordStore } from './store/records.ts'
import { openTamperingReport, type TamperingReport } from './tampering-report.ts'

export interface CloudOptions {
  readonly dataDir: string
  /** 0: any free port. */
  readonly port: number
  /** Seconds that an unwrapped data key may be used: the bound of a revocation. */
  readonly keyLeaseSeconds: number
  /** Seconds after which vaults are asked about keys that nobody uses; default 60. */
  readonly keyWatchSeconds?: number
  /** Fine-tuning jobs that run at the same time; default 1: one takes every core there is. */
  readonly jobsAtOnce?: number
  readonly location: string
  /** Hosts of vaults that are none of this cloud's and may be called, for example `*.vault.azure.net`; default none. */
  readonly outsideVaults?: readonly string[]
  /** Hosts of issuers of federated credentials whose addresses need not be public, for example `oidc.corp.example:8443`; default none. */
  readonly federatedIssuers?: readonly string[]
  /** The administrator may move the clock, and where he left it it stands after a restart. */
  readonly clockControl?: boolean
  /** The cloud starts on an OpenSSL FIPS provider or not at all; see commands/restart-process.ts. */
  readonly fips?: boolean
  /** Clients may send people's names and passwords (ROPC), which Entra discourages. */
  readonly allowPasswordGrant?: boolean
  /** A head that was kept elsewhere (`ownkey audit head`): an older state of the folder is refused. */
  readonly knownHead?: string | undefined
  /** Where the newest head is kept outside the folder: `file:PATH` or `command:PROGRAM`; see freshness.ts. */
  readonly freshness?: string | undefined
  /** Goes on with records that were put back, added or taken away outside; a record whose own MAC is wrong stays closed. */
  readonly acceptChangedRecords?: boolean
  /** Where diagnostic settings write to; default `<dataDir>/diagnostics`. */
  readonly diagnosticsFolder?: string | undefined
  /** RSA-HSM keys live in this PKCS #11 token; `label` may be left out where there is only one. */
  readonly pkcs11?:
    | { readonly modulePath: string; readonly pinFile: string; readonly label: string | undefined }
    | undefined
  /** Runs when the cloud answers, before `endpoints.json` says so; what it throws ends the start. */
  readonly prepare?: (given: PreparedCloud) => Promise<void>
  readonly env?: Env
  /** One line of the service's own log; never customer data. */
  readonly log?: (line: object) => void
}

/** A cloud that answers already. */
export interface PreparedCloud {
  readonly endpoints: Endpoints
  /** The local CA's certificate. */
  readonly caPem: string
  readonly administration: Administration
}

export interface Cloud {
  readonly endpoints: Endpoints
  close(): Promise<void>
}

const DOMAIN = 'localhost'
/** Daily: a certificate is renewed 30 days before its end. */
const RENEWAL_CHECK_MS = 86_400_000

/** Starts a cloud in a folder and writes `endpoints.json`, last of all. @throws when another process has the folder */
export async function startCloud(options: CloudOptions): Promise<Cloud> {
  const { dataDir, log = () => {} } = options
  const clock = options.clockControl ? controlledClock(options.env ?? systemEnv) : undefined
  const env = clock?.env ?? options.env ?? systemEnv
  const fips = readFipsState()
  if (fips.status === 'broken' || (options.fips === true && fips.status !== 'active'))
    throw new Error('FIPS mode is set, but the FIPS provider does not work. Run ./ownkey doctor.')
  checkKnownAnswers()
  await openDataFolder(dataDir)
  await closeToOthers(dataDir, (path, mode) =>
    log({ level: 'warning', message: `${path} was open to other users (mode ${mode}); it is not any more.` }),
  )
  const closers: (() => Promise<void>)[] = []
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer()
  }
  try {
    const lock = await lockFolder(dataDir)
    closers.push(() => lock.release())
    await rm(endpointsFile(dataDir), { force: true })
    const port = options.port === 0 ? await freePort() : options.port
    const rooms = await openFolder({ ...options, env, clock, log, port }, closers)
    const endpoints = await listenAll({ ...options, env, clock, log, port }, rooms, closers)
    const caPem = await readFile(endpoints.caCertificate, 'utf8')
    await options.prepare?.({ endpoints, caPem, administration: rooms.administration })
    await writeFileAtomically(endpointsFile(dataDir), `${JSON.stringify(endpoints, null, 2)}\n`, 0o600)
    closers.push(() => rm(endpointsFile(dataDir), { force: true }))
    return { endpoints, close }
  } catch (error) {
    await close()
    throw error
  }
}

interface Settings extends CloudOptions {
  readonly env: Env
  readonly clock: ControlledClock | undefined
  readonly log: (line: object) => void
  readonly port: number
}

async function openFolder(settings: Settings, closers: (() => Promise<void>)[]): Promise<Rooms> {
  const { dataDir, env, port } = settings
  const fromEnvironment = process.env['OWNKEY_ROOT_KEY']
  // What is started from here on does not inherit it.
  delete process.env['OWNKEY_ROOT_KEY']
  const rootKeys = await openRootKeys({ file: join(dataDir, 'root.key'), fromEnvironment, env })
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
  const audit = await openAuditLog(records, env, {
    mac: auditHeadMac(rootKeys),
    // A folder with an administrator has had a log from its first start on.
    isNew: (await records.count(administrators)) === 0,
  })
  const freshness = await openFreshness({ ...settings, records, audit })
  closers.push(() => freshness.close())
  tampering.recordIn(audit)
  const blobs = await openDirectoryBlobs(join(dataDir, 'blobs'))
  await dropBrokenOffChanges(records)
  const referenced = await referencedBlobs(records)
  // Only now: by the records of an older folder, blobs of the newest pass for orphans. Where a record can't be read,
  // the blob that it names would.
  if (referenced !== undefined) await sweepOrphans(blobs, id => referenced.has(id))
  const macKey = rootKeys.mac
  await makeKeyStates({ records, macKey, audit, settingsOf: id => namedKeyOf(records, id), log: settings.log })
  if (tampering.wasAccepted) await recordAcceptedKeyStates({ records, audit, log: settings.log })
  await recordFips(audit)
  const rooms = await openRooms({
    env,
    clock: settings.clock,
    diagnosticsFolder: settings.diagnosticsFolder ?? join(settings.dataDir, 'diagnostics'),
    port,
    domain: DOMAIN,
    records,
    blobs,
    audit,
    rootKeys,
    token,
    keyLeaseSeconds: settings.keyLeaseSeconds,
    keyWatchSeconds: settings.keyWatchSeconds ?? 60,
    jobsAtOnce: settings.jobsAtOnce,
    outsideVaults: settings.outsideVaults ?? [],
    federatedIssuers: settings.federatedIssuers ?? [],
    allowPasswordGrant: settings.allowPasswordGrant ?? false,
    location: settings.location,
    log: settings.log,
  })
  closers.push(() => rooms.close())
  return rooms
}

/** @throws RecordsChanged where they are not those that were written last, and the operator did not accept it */
async function openRecords(settings: Settings, rootKeys: RootKeys, tampering: TamperingReport): Promise<RecordStore> {
  const { acceptChangedRecords, dataDir, log } = settings
  const changed = acceptChangedRecords ? 'accept' : 'refuse'
  return shredding(await openFolderRecords(dataDir, rootKeys, { ...tampering, changed }), error =>
    log({ level: 'error', message: 'What was destroyed is still to be erased', error: error.message }),
  )
}

/** R02: which provider this run is on, for those who read the log later. */
async function recordFips(audit: AuditLog): Promise<void> {
  const state = readFipsState()
  if (state.status !== 'active') return
  await audit.append({
    operationName: 'OwnKey/fips/start',
    category: 'AuditEvent',
    resultType: 'Success',
    resultDescription: `This run is on ${describeFips(state)}.`,
    properties: { ...state.module },
  })
}

/** Before anything else is opened: a wrong module, token or PIN ends the start. */
async function openTokenOf({ pkcs11 }: Settings): Promise<Token | undefined> {
  if (pkcs11 === undefined) return undefined
  const { modulePath, pinFile, label } = pkcs11
  return openToken({ modulePath, label, pin: () => readPinFile(pinFile) })
}

async function listenAll(settings: Settings, rooms: Rooms, closers: (() => Promise<void>)[]): Promise<Endpoints> {
  const { dataDir, env, log, port } = settings
  const notice = (message: string): void => log({ level: 'warning', message })
  const certificates = await openCertificates(join(dataDir, 'ca'), DOMAIN, env)
  const listener = await listen({
    port,
    domain: DOMAIN,
    certificates,
    routes: rooms.routes,
    authenticators: rooms.authenticators,
    env,
    log,
    notice,
  })
  closers.push(() => listener.close())
  const renewal = setInterval(() => {
    openCertificates(join(dataDir, 'ca'), DOMAIN, env).then(
      renewed => listener.useCertificates(renewed),
      (error: unknown) => log({ level: 'error', message: 'Certificate renewal failed', error: String(error) }),
    )
  }, RENEWAL_CHECK_MS)
  closers.push(async () => clearInterval(renewal))
  rooms.connect(listener.serviceAgent)
  const metadata = await listenMetadata({
    port: 0,
    env,
    identities: rooms.entra.identities,
    audited: routes => rooms.audited(routes),
    domain: DOMAIN,
    caPem: certificates.caPem,
    log,
    notice,
  })
  closers.push(() => metadata.close())
  await rooms.start()
  closers.push(() => rooms.stop())
  const { administrator, administratorUser } = rooms.entra
  const at = (host: string): string => `https://${host}.${DOMAIN}:${port}`
  return {
    port,
    caCertificate: resolve(certificates.caFile),
    caCertificateUrl: `http://127.0.0.1:${metadata.port}/ca.pem`,
    authority: at('login'),
    resourceManager: at('management'),
    keyVaultSuffix: `.vault.${DOMAIN}:${port}`,
    openAiSuffix: `.openai.${DOMAIN}:${port}`,
    portal: at('portal'),
    instanceMetadata: `http://127.0.0.1:${metadata.port}`,
    tenantId: administrator.tenantId,
    subscriptionId: rooms.subscriptionId,
    location: settings.location,
    administrator: {
      clientId: administrator.clientId,
      clientSecret: administrator.clientSecret,
      userName: administratorUser.userName,
      password: administratorUser.password,
    },
  }
}

/** Names with the port in them are needed before the server listens. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        address !== null && typeof address === 'object' ? resolve(address.port) : reject(new Error('No port is free.')),
      )
    })
  })
}
