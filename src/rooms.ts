import type { Agent } from 'node:http'
import type { TokenCredential } from '@azure/core-auth'
import { accountResourceType, accountRoutes } from './accounts/account-routes.ts'
import { Accounts } from './accounts/accounts.ts'
import { deploymentRoutes } from './accounts/deployment-routes.ts'
import { Deployments } from './accounts/deployments.ts'
import { RunningModels } from './accounts/running-models.ts'
import type { VaultDirectory } from './accounts/vault-directory.ts'
import { firstSubscription, openResourceManager } from './arm/open-resource-manager.ts'
import { subscriptions } from './arm/records.ts'
import { armRoutes } from './arm/routes.ts'
import { KeyRing } from './encryption/key-ring.ts'
import type { RootKeys } from './encryption/root-key.ts'
import { SealedBlobs } from './encryption/sealed-blobs.ts'
import { IdentityMissing } from './encryption/vault-error.ts'
import { Catalogue } from './engines/catalogue.ts'
import { llamaRuntime } from './engines/inference.ts'
import { ggmlTrainer } from './engines/trainer.ts'
import { openEntra, type Entra } from './entra/open-entra.ts'
import type { Env } from './env.ts'
import { Forbidden } from './http/errors.ts'
import type { Authenticator, AuthScheme, Route } from './http/route.ts'
import { openKeyVault } from './keyvault/open-keyvault.ts'
import { liveVault, vaultResourceId } from './keyvault/vault-record.ts'
import { chatRoutes } from './openai/chat-routes.ts'
import { dataPlaneAuthenticator, dataRoutes } from './openai/data-plane.ts'
import { fileRoutes } from './openai/file-routes.ts'
import { Files } from './openai/files.ts'
import { JobEvents } from './openai/job-events.ts'
import { jobRoutes } from './openai/job-routes.ts'
import { JobRunner } from './openai/job-runner.ts'
import { Jobs } from './openai/jobs.ts'
import { modelRoutes } from './openai/model-routes.ts'
import { Models } from './openai/models.ts'
import type { AuditLog } from './store/audit-log.ts'
import type { BlobStore } from './store/blobs.ts'
import type { RecordStore } from './store/records.ts'

export interface RoomsOptions {
  readonly env: Env
  readonly port: number
  readonly domain: string
  readonly records: RecordStore
  readonly blobs: BlobStore
  readonly audit: AuditLog
  readonly rootKeys: RootKeys
  readonly keyLeaseSeconds: number
  readonly location: string
  readonly log: (line: object) => void
}

/** The rooms of a cloud, wired together. Part of the composition root, like main. */
export interface Rooms {
  readonly entra: Entra
  readonly routes: readonly Route[]
  readonly authenticators: Readonly<Record<AuthScheme, Authenticator>>
  readonly subscriptionId: string
  /** Gives the rooms the way to this cloud's own hosts, once it listens. */
  connect(agent: Agent): void
  /** Begins what runs by itself: waiting jobs, due purges and rotations. */
  start(): Promise<void>
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
const VAULT_TIMEOUT_MS = 8000
const TICK_MS = 30_000

export async function openRooms(options: RoomsOptions): Promise<Rooms> {
  const { env, records, audit, rootKeys, domain, port, log } = options
  const at = (host: string): string => `https://${host}.${domain}:${port}`
  const locations = [...new Set([options.location, ...LOCATIONS])]
  const authority = (tenantId: string): string => `${at('login')}/${tenantId}`
  const entra = await openEntra({ records, env, sealingKey: rootKeys.identity, domain, authority })
  const subscriptionId = await openSubscription(options, entra)
  const resourceManager = openResourceManager(records)
  const keyVault = openKeyVault({
    records,
    env,
    hsmKey: rootKeys.hsm,
    resourceManager,
    verifyToken: entra.tokens.verify,
    authority,
    vaultResource: () => at('vault'),
    vaultUri: name => `${at(`${name}.vault`)}/`,
    audit,
    locations,
  })
  const service = openService(options, { entra, resourceManager, locations })
  const { accounts, deployments } = service
  const plane = { accounts, resourceManager }
  const endpoints = {
    authority: at('login'),
    resourceManager: at('management'),
    portal: at('portal'),
    audiences: [at('management'), 'https://management.azure.com/', 'https://management.core.windows.net/'],
  }
  let timer: NodeJS.Timeout | undefined
  return {
    entra,
    subscriptionId,
    routes: [
      ...entra.routes,
      ...armRoutes({
        records,
        resourceManager,
        resourceTypes: [keyVault.resourceType, accountResourceType(accounts)],
        locations,
        endpoints,
      }),
      ...keyVault.routes,
      ...accountRoutes(accounts),
      ...deploymentRoutes(deployments),
      ...dataRoutes(plane, [
        ...fileRoutes(service.files),
        ...jobRoutes(service.jobs, service.ring),
        ...modelRoutes(service.models, deployments),
        ...chatRoutes(deployments, env),
      ]),
    ],
    authenticators: {
      management: entra.managementAuthenticator,
      administrator: entra.managementAuthenticator,
      vault: keyVault.authenticator,
      openai: dataPlaneAuthenticator(plane, token => entra.tokens.verify(token, { audiences: ['openai'] })),
    },
    connect: agent => service.connect(agent),
    start: async () => {
      await service.runner.start()
      timer = setInterval(
        () =>
          void keyVault
            .tick()
            .catch((error: unknown) => log({ level: 'error', message: 'Vault upkeep failed', error: String(error) })),
        TICK_MS,
      )
      timer.unref()
    },
    close: async () => {
      clearInterval(timer)
      await service.runner.close()
      await service.running.stopAll()
    },
  }
}

/** The Azure OpenAI service: accounts, their keys and data, and the engines. */
function openService(
  options: RoomsOptions,
  given: { entra: Entra; resourceManager: ReturnType<typeof openResourceManager>; locations: readonly string[] },
) {
  const { env, records, audit, rootKeys, domain, port, log } = options
  let agent: Agent | undefined
  const isOwn = (vaultUri: string): boolean => new URL(vaultUri).hostname.endsWith(`.vault.${domain}`)
  const ring = new KeyRing({
    records,
    rootKeys,
    leaseMs: options.keyLeaseSeconds * 1000,
    vaults: { timeoutMs: VAULT_TIMEOUT_MS, agentFor: vaultUri => (isOwn(vaultUri) ? agent : undefined) },
    credentialOf: accountId => identityCredential(() => accounts.byId(accountId), given.entra),
  })
  const accounts = new Accounts({
    records,
    env,
    keyRing: ring,
    vaultDirectory: vaultDirectory(records, isOwn),
    resourceManager: given.resourceManager,
    identities: given.entra.identities,
    audit,
    identityKey: rootKeys.identity,
    locations: given.locations,
    endpoint: subdomain => `https://${subdomain}.openai.${domain}:${port}/`,
  })
  const blobs = new SealedBlobs(ring, options.blobs, env, rootKeys.deployment)
  const catalogue = new Catalogue()
  const named = [
    ...catalogue.models.map(base => ({ name: base.name, base })),
    ...catalogue.aliases.map(([name]) => ({ name, base: catalogue.find(name) })),
  ]
  const models = new Models({ accounts, blobs, bases: named })
  const running = new RunningModels({ records, blobs, runtime: llamaRuntime(catalogue) })
  const deployments = new Deployments({ accounts, blobs, models, running })
  const files = new Files(accounts, blobs)
  const jobs = new Jobs({
    accounts,
    files,
    blobs,
    events: new JobEvents(records, env, ring),
    findBase: name => models.findBase(name),
  })
  const logError = (message: string, error?: unknown): void =>
    log({ level: 'error', message, error: error instanceof Error ? error.stack : String(error) })
  const runner = new JobRunner({ jobs, ring, trainer: ggmlTrainer(catalogue), log: logError })
  const connect = (own: Agent): void => {
    agent = own
  }
  return { accounts, ring, models, running, deployments, files, jobs, runner, connect }
}

/** R13, R31: the account's own identity asks the vault, whatever the caller's rights. */
function identityCredential(
  account: () => Promise<{ identity?: { principalId: string } } | undefined>,
  entra: Entra,
): TokenCredential {
  return {
    getToken: async scopes => {
      const principalId = (await account())?.identity?.principalId
      if (principalId === undefined) throw new IdentityMissing('The resource has no system-assigned identity.')
      try {
        const { token, expiresAt } = await entra.identities.token(
          principalId,
          [scopes].flat()[0]?.replace(/\/\.default$/, '') ?? '',
        )
        return { token, expiresOnTimestamp: expiresAt }
      } catch (error) {
        if (error instanceof Forbidden) throw new IdentityMissing(error.message)
        throw error
      }
    },
  }
}

/** Settings of the embedded vaults, as Resource Manager knows them. */
function vaultDirectory(records: RecordStore, isOwn: (vaultUri: string) => boolean): VaultDirectory {
  return {
    describe: async vaultUri => {
      if (!isOwn(vaultUri)) return undefined
      const vault = (await liveVault(records, new URL(vaultUri).hostname.split('.')[0] ?? ''))?.value
      if (vault === undefined) return undefined
      const {
        tenantId,
        enableSoftDelete,
        enablePurgeProtection,
        enableRbacAuthorization,
        networkAcls,
        publicNetworkAccess,
      } = vault.properties
      return {
        name: vault.name,
        id: vaultResourceId(vault),
        location: vault.location,
        tenantId,
        softDelete: enableSoftDelete,
        purgeProtection: enablePurgeProtection,
        rbacAuthorization: enableRbacAuthorization,
        firewall: networkAcls?.defaultAction === 'Deny' || publicNetworkAccess === 'Disabled',
        trustedServices: networkAcls === undefined || networkAcls.bypass === 'AzureServices',
      }
    },
  }
}

async function openSubscription({ records, env }: RoomsOptions, entra: Entra): Promise<string> {
  const [known] = await records.list(subscriptions, { limit: 1 })
  if (known !== undefined) return known.value.subscriptionId
  const { subscriptionId, changes } = firstSubscription(env, entra.administrator.tenantId, entra.administrator.objectId)
  await records.commit(changes)
  return subscriptionId
}
