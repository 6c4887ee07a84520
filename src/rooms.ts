import type { Agent } from 'node:http'
import { fileURLToPath } from 'node:url'
import { openAdministration, type Administration } from './administration.ts'
import type { AuditSink } from './audit/audit-event.ts'
import { auditRoutes } from './audit/audit-routes.ts'
import { openRequestAudit, type RequestAudit } from './audit/request-audit.ts'
import { clockRoutes } from './clock/clock-routes.ts'
import type { ControlledClock } from './clock/controlled-clock.ts'
import { administratorOnly } from './entra/administrator.ts'
import { accountCountRoutes } from './accounts/account-count-routes.ts'
import { eachForItself } from './each-for-itself.ts'
import { leftoversRoutes } from './accounts/leftovers-routes.ts'
import { healthRoute } from './health-route.ts'
import { readFipsState } from './crypto/fips-module.ts'
import { deploymentRoutes } from './accounts/deployment-routes.ts'
import { firstSubscription } from './arm/first-subscription.ts'
import { olderRoles } from './arm/older-roles.ts'
import { openResourceManager } from './arm/open-resource-manager.ts'
import { subscriptions } from './arm/records.ts'
import type { RootKeys } from './encryption/root-key.ts'
import { openEntra, type Entra } from './entra/open-entra.ts'
import type { Env } from './env.ts'
import { backupRoutes } from './folder/backup-routes.ts'
import type { FolderCheck } from './folder/folder-check.ts'
import { verifyRoutes } from './folder/verify-routes.ts'
import type { Snapshots } from './folder/snapshots.ts'
import type { Authenticator, AuthScheme, Route } from './http/route.ts'
import { DiagnosticExport } from './keyvault/diagnostic-export.ts'
import { repeatedly, type Repeating } from './repeatedly.ts'
import { openKeyVault } from './keyvault/open-keyvault.ts'
import { chatRoutes } from './openai/chat-routes.ts'
import { dataPlaneAuthenticator, dataRoutes, type DataPlane } from './openai/data-plane.ts'
import { fileRoutes } from './openai/file-routes.ts'
import { jobRoutes } from './openai/job-routes.ts'
import { modelRoutes } from './openai/model-routes.ts'
import { openManagement, type Management } from './management.ts'
import { rememberPort } from './own-ports.ts'
import { openService } from './service.ts'
import type { Token } from './pkcs11/token.ts'
import { readPortalFiles } from './portal/portal-files.ts'
import { portalRoutes, type PortalConfig } from './portal/portal-routes.ts'
import { readTruthTable } from './portal/truth-table.ts'
import { truthTableRoutes } from './portal/truth-table-routes.ts'
import type { AuditLog } from './store/audit-log.ts'
import type { BlobStore } from './store/blobs.ts'
import type { RecordStore } from './store/records.ts'

export interface RoomsOptions {
  readonly env: Env
  readonly port: number
  readonly domain: string
  readonly records: RecordStore
  readonly dataDir: string
  readonly blobs: BlobStore
  readonly snapshots: Snapshots
  readonly audit: AuditLog
  /** Given: the administrator may move it. */
  /** The operator's folder for what diagnostic settings send to storage accounts. */
  readonly diagnosticsFolder: string
  readonly clock?: ControlledClock | undefined
  readonly rootKeys: RootKeys
  /** Where RSA-HSM keys live. */
  readonly token?: Token | undefined
  /** Hosts of vaults that are none of this cloud's and may be called; see outside-vaults.ts. */
  readonly outsideVaults?: readonly string[]
  /** Hosts of federated issuers that need not be public. */
  readonly federatedIssuers?: readonly string[]
  readonly keyLeaseSeconds: number
  readonly keyWatchSeconds: number
  /** Fine-tuning jobs that run at the same time; default 1. */
  readonly jobsAtOnce?: number | undefined
  /** Seconds without a sign of life after which a trainer or a model is ended; default 30. */
  readonly engineTimeoutSeconds?: number | undefined
  /** Clients may send people's names and passwords. */
  readonly allowPasswordGrant?: boolean
  readonly location: string
  readonly log: (line: object) => void
}

/** The rooms of a cloud, wired together. Part of the composition root, like main. */
export interface Rooms {
  readonly entra: Entra
  readonly administration: Administration
  readonly routes: readonly Route[]
  readonly authenticators: Readonly<Record<AuthScheme, Authenticator>>
  readonly subscriptionId: string
  /** Gives the rooms the way to this cloud's own hosts, once it listens. */
  connect(agent: Agent): void
  /** The same routes, each request to which makes an audit record. */
  audited(routes: readonly Route[]): Route[]
  /** Begins what runs by itself: waiting jobs, due purges and rotations, the watch over customers' keys. */
  start(): Promise<void>
  /** Ends what asks vaults by itself, while this cloud's own still answer. */
  stop(): Promise<void>
  close(): Promise<void>
}

const LOCATIONS = [
  'westeurope',
  'northeurope',
  'eastus',
  'eastus2',
  'swedencentral',
  'southcentralus',
  'uksouth',
  'australiaeast',
  'japaneast',
]
const PORTAL_FOLDER = fileURLToPath(new URL('../portal/dist', import.meta.url))
const TRUTH_TABLE = fileURLToPath(new URL('../docs/truth-table.md', import.meta.url))
const TICK_MS = 30_000
const FLUSH_MS = 60_000
const EXPORT_MS = 1000

export async function openRooms(options: RoomsOptions): Promise<Rooms> {
  const { env, records, rootKeys, domain, port, log, allowPasswordGrant = false } = options
  const requestAudit = openRequestAudit(options.audit, env)
  const audit = requestAudit.sink
  const at = (host: string): string => `https://${host}.${domain}:${port}`
  const locations = [...new Set([options.location, ...LOCATIONS])]
  const authority = (tenantId: string): string => `${at('login')}/${tenantId}`
  const login = {
    portal: at('portal'),
    sealingKey: rootKeys.identity,
    allowPasswordGrant,
    federatedIssuers: options.federatedIssuers,
    log: (message: string, error: unknown) => log({ level: 'warning', message, error: String(error) }),
  }
  const entra = await openEntra({ records, env, domain, authority, ...login })
  const subscriptionId = await openSubscription(options, entra)
  const resourceManager = openResourceManager(records, { authority })
  const keyVault = openKeyVault({
    records,
    env,
    hsmKey: rootKeys.hsm,
    token: options.token,
    resourceManager,
    verifyToken: (token, expected) => entra.tokens.verify(token, expected),
    authority,
    vaultResource: () => at('vault'),
    vaultUri: name => `${at(`${name}.vault`)}/`,
    audit,
    auditLog: options.audit,
    locations,
  })
  const ownPorts = await rememberPort(records, port)
  const service = openService({ ...options, audit, ownPorts }, { entra, resourceManager, locations })
  const plane = { accounts: service.accounts, resourceManager }
  const managed = { entra, resourceManager, vaultType: keyVault.resourceType, service, locations }
  const management = openManagement({ ...options, audit }, managed)
  const tick = (): Promise<void> => dueTasks(keyVault, service)
  return {
    entra,
    administration: openAdministration(records, entra),
    subscriptionId,
    routes: [
      ...entra.routes.filter(({ method }) => method === 'GET'),
      healthRoute(readFipsState()),
      ...portalRoutes(await readPortalFiles(PORTAL_FOLDER), portalConfig(options, entra, at)),
      ...requestAudit.routes([
        ...entra.routes.filter(({ method }) => method !== 'GET'),
        ...management.routes,
        ...keyVault.routes,
        ...serviceRoutes(service, plane, env),
        ...truthTableRoutes(await readTruthTable(TRUTH_TABLE)),
        ...administrationRoutes(options, { entra, audit, moved: tick, check: service.check }),
      ]),
    ],
    authenticators: authenticatorsOf(requestAudit, entra, keyVault.authenticator, plane),
    connect: agent => service.connect(agent),
    audited: routes => requestAudit.routes(routes),
    ...lifeOf(service, management, { tick, flush: () => requestAudit.flush(), exporter: exporterOf(options), log }),
  }
}

/** @throws what failed, when all else is done */
async function dueTasks(
  keyVault: ReturnType<typeof openKeyVault>,
  { life }: ReturnType<typeof openService>,
): Promise<void> {
  const tasks = eachForItself()
  await tasks.attempt(() => keyVault.tick())
  await tasks.attempt(() => life.tick())
  tasks.end()
}

function portalConfig(options: RoomsOptions, entra: Entra, at: (host: string) => string): PortalConfig {
  const { domain, port, location } = options
  const { tenantId } = entra.administrator
  return {
    tenantId,
    clientId: entra.portalClientId,
    authority: `${at('login')}/${tenantId}`,
    resourceManager: at('management'),
    graph: at('login'),
    keyVaultSuffix: `.vault.${domain}:${port}`,
    openAiSuffix: `.openai.${domain}:${port}`,
    location,
    clockControl: options.clock !== undefined,
  }
}

/** Azure OpenAI: its resources, and their data plane. */
function serviceRoutes(service: ReturnType<typeof openService>, plane: DataPlane, env: Env): Route[] {
  const { deployments } = service
  return [
    ...deploymentRoutes(deployments),
    ...accountCountRoutes(service.accounts),
    ...dataRoutes(plane, [
      ...fileRoutes(service.files),
      ...jobRoutes(service.jobs, service.ring),
      ...modelRoutes(service.models, deployments),
      ...chatRoutes(deployments, env),
    ]),
  ]
}

function authenticatorsOf(
  requestAudit: RequestAudit,
  { managementAuthenticator, administrator, administratorUser, tokens }: Entra,
  vault: Authenticator,
  plane: DataPlane,
): Rooms['authenticators'] {
  const verifyToken = (token: string) => tokens.verify(token, { audiences: ['openai'] })
  return {
    management: requestAudit.authenticator(managementAuthenticator),
    administrator: requestAudit.authenticator(
      administratorOnly(managementAuthenticator, [administrator.objectId, administratorUser.objectId]),
    ),
    vault: requestAudit.authenticator(vault),
    openai: requestAudit.authenticator(dataPlaneAuthenticator(plane, verifyToken)),
  }
}

function exporterOf({ records, audit: auditLog, diagnosticsFolder: folder }: RoomsOptions): DiagnosticExport {
  return new DiagnosticExport({ records, auditLog, folder })
}

/** What only the administrator of this cloud may do. */
function administrationRoutes(
  { env, records, blobs, audit: log, clock, snapshots }: RoomsOptions,
  { entra, audit, moved, check }: { entra: Entra; audit: AuditSink; moved: () => Promise<void>; check: FolderCheck },
): Route[] {
  const nameOf = async (objectId: string): Promise<string | undefined> => (await entra.principal(objectId))?.displayName
  return [
    ...auditRoutes({ log, records, env, nameOf }),
    ...backupRoutes(snapshots),
    ...verifyRoutes(check),
    ...leftoversRoutes({ records, blobs }),
    ...(clock === undefined ? [] : clockRoutes({ clock, audit, moved })),
  ]
}

interface Upkeep {
  readonly tick: () => Promise<void>
  readonly flush: () => Promise<void>
  readonly exporter: DiagnosticExport
  readonly log: RoomsOptions['log']
}

/** What runs by itself, until it is closed. */
function lifeOf(
  service: ReturnType<typeof openService>,
  management: Management,
  { tick, flush, exporter, log }: Upkeep,
): Pick<Rooms, 'start' | 'stop' | 'close'> {
  const repeating: Repeating[] = []
  const upkeep = (message: string, run: () => Promise<void>, everyMs: number): Repeating =>
    repeatedly(run, everyMs, error => log({ level: 'error', message, error: String(error) }))
  return {
    start: async () => {
      await service.keyStatuses.load()
      service.watch.start()
      await service.runner.start()
      await service.reEncryptions.resume()
      await management.resume()
      repeating.push(
        upkeep('Upkeep failed', tick, TICK_MS),
        upkeep('Refusals that were counted could not be recorded', flush, FLUSH_MS),
        // The last to stop: it writes what the others have recorded.
        upkeep('Audit records could not be exported', () => exporter.run(), EXPORT_MS),
      )
    },
    stop: async () => {
      await service.runner.close()
      await service.watch.close()
      await service.reEncryptions.close()
      await service.keyStatuses.close()
    },
    close: async () => {
      await management.settle()
      await service.running.stopAll()
      const [upkeepOfVaults, ...recording] = repeating.splice(0)
      await upkeepOfVaults?.stop()
      for (const one of recording) await one.stop('finally')
    },
  }
}

async function openSubscription({ records, env, audit }: RoomsOptions, entra: Entra): Promise<string> {
  const { administrator, administratorUser } = entra
  const administrators = [administrator.objectId, administratorUser.objectId]
  const [known] = await records.list(subscriptions, { limit: 1 })
  if (known === undefined) {
    const { subscriptionId, changes } = firstSubscription(env, administrator.tenantId, administrators)
    await records.commit(changes)
    return subscriptionId
  }
  const { subscriptionId, tenantId } = known.value
  const changes = await olderRoles(records, env, { subscriptionId, tenantId, administrators })
  const entry = {
    operationName: 'OwnKey/administrator/roles',
    category: 'AuditEvent',
    resultType: 'Success' as const,
    resultDescription: 'The role assignments of an older folder were brought to their present form',
    callerIpAddress: 'service',
    properties: { administrators },
  }
  if (changes.length > 0) await audit.append(entry, changes, { reserve: 'small' })
  return subscriptionId
}
