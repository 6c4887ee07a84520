import type { Agent } from 'node:http'
import { fileURLToPath } from 'node:url'
import { openAdministration, type Administration } from './administration.ts'
import type { AuditSink } from '../audit/audit-event.ts'
import { auditRoutes } from '../audit/audit-routes.ts'
import { openRequestAudit, type RequestAudit } from '../audit/request-audit.ts'
import { clockRoutes } from '../clock/clock-routes.ts'
import { administratorOnly } from '../entra/administrator.ts'
import { accountCountRoutes } from '../accounts/account-count-routes.ts'
import { leftoversRoutes } from '../accounts/leftovers-routes.ts'
import { healthRoute } from './health-route.ts'
import { readFipsState } from '../crypto/fips-module.ts'
import { deploymentRoutes } from '../accounts/deployment-routes.ts'
import { openResourceManager } from '../arm/open-resource-manager.ts'
import { openEntra, type Entra } from '../entra/open-entra.ts'
import type { Env } from '../base/env.ts'
import { backupRoutes } from '../folder/backup-routes.ts'
import type { FolderCheck } from '../folder/folder-check.ts'
import { verifyRoutes } from '../folder/verify-routes.ts'
import type { Authenticator, AuthScheme, Route } from '../http/route.ts'
import { openKeyVault } from '../keyvault/open-keyvault.ts'
import { chatRoutes } from '../openai/chat-routes.ts'
import { dataPlaneAuthenticator, dataRoutes, type DataPlane } from '../openai/data-plane.ts'
import { fileRoutes } from '../openai/file-routes.ts'
import { jobRoutes } from '../openai/job-routes.ts'
import { modelRoutes } from '../openai/model-routes.ts'
import { dueTasks, openMaintenance, type Maintenance } from './maintenance.ts'
import { openManagement } from './management.ts'
import type { ModulesOptions } from './modules-options.ts'
import { openSubscription } from './open-subscription.ts'
import { rememberPort } from './own-ports.ts'
import { openService, type Service } from './service.ts'
import { readPortalFiles } from '../portal/portal-files.ts'
import { portalRoutes, type PortalConfig } from '../portal/portal-routes.ts'
import { readTruthTable } from '../portal/truth-table.ts'
import { truthTableRoutes } from '../portal/truth-table-routes.ts'

/** The modules of a cloud, wired together. */
export interface Modules extends Maintenance {
  readonly entra: Entra
  readonly administration: Administration
  readonly routes: readonly Route[]
  readonly authenticators: Readonly<Record<AuthScheme, Authenticator>>
  readonly subscriptionId: string
  /** Gives the modules the connection to this cloud's own hosts, once it listens. */
  connect(agent: Agent): void
  /** The same routes, with an audit record for each request. */
  audited(routes: readonly Route[]): Route[]
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
const PORTAL_FOLDER = fileURLToPath(new URL('../../portal/dist', import.meta.url))
const TRUTH_TABLE = fileURLToPath(new URL('../../docs/truth-table.md', import.meta.url))

export async function wireModules(options: ModulesOptions): Promise<Modules> {
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
  const due = (): Promise<void> => dueTasks(keyVault, service)
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
        ...administrationRoutes(options, { entra, audit, moved: due, check: service.check }),
      ]),
    ],
    authenticators: authenticatorsOf(requestAudit, entra, keyVault.authenticator, plane),
    connect: agent => service.connect(agent),
    audited: routes => requestAudit.routes(routes),
    ...openMaintenance({ keyVault, service, management, due, flush: () => requestAudit.flush(), options }),
  }
}

function portalConfig(options: ModulesOptions, entra: Entra, at: (host: string) => string): PortalConfig {
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
function serviceRoutes(service: Service, plane: DataPlane, env: Env): Route[] {
  const { deployments } = service
  return [
    ...deploymentRoutes(service, deployments),
    ...accountCountRoutes(service),
    ...dataRoutes(plane, [
      ...fileRoutes(service.files),
      ...jobRoutes(service),
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
): Modules['authenticators'] {
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

/** Routes for the administrator of this cloud alone. */
function administrationRoutes(
  { env, records, blobs, audit: log, clock, snapshots }: ModulesOptions,
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
