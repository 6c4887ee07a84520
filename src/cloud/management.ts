import { accountInformationRoutes } from '../accounts/account-information.ts'
import { accountResourceType } from '../accounts/account-resource-type.ts'
import { accountRoutes } from '../accounts/account-routes.ts'
import { baseModelRoutes } from '../accounts/base-model-routes.ts'
import { protectionRoutes } from '../accounts/protection-routes.ts'
import { reEncryptionRoutes } from '../accounts/re-encryption-routes.ts'
import { deletedAccountRoutes } from '../accounts/deleted-account-routes.ts'
import type { ArmOptions, Directory } from '../arm/arm-options.ts'
import { armRoutes, resumeOperations } from '../arm/arm-routes.ts'
import { Operations } from '../arm/operations.ts'
import type { ResourceManager, ResourceType } from '../arm/resource-manager.ts'
import type { AuditSink } from '../audit/audit-event.ts'
import type { Entra } from '../entra/open-entra.ts'
import { tenants } from '../entra/records.ts'
import type { Route } from '../http/route.ts'
import type { ModulesOptions } from './modules-options.ts'
import type { Service } from './service.ts'
import type { RecordStore } from '../store/records.ts'

export interface Management {
  readonly routes: readonly Route[]
  /** Operations that a stop of the service broke off go on. */
  resume(): Promise<void>
  /** Operations that ended a day ago are forgotten. */
  forgetEnded(): Promise<void>
  /** Resolves when no operation is under way any more. */
  settle(): Promise<void>
}

/** Resource Manager with the accounts' provider. */
export function openManagement(
  options: Omit<ModulesOptions, 'audit'> & { readonly audit: AuditSink },
  given: {
    readonly entra: Entra
    readonly resourceManager: ResourceManager
    readonly vaultType: ResourceType
    readonly service: Service
    readonly locations: readonly string[]
  },
): Management {
  const { records, env, audit, log } = options
  const { entra, resourceManager, locations } = given
  const { service } = given
  const { catalogue, life, models, reEncryptions } = service
  const operations = new Operations({ records, env, leases: service.leases, resourceManager, log })
  const services = { ...service, operations }
  const arm: ArmOptions = {
    records,
    env,
    audit,
    resourceManager,
    // Accounts first, so that with a deleted group they end before the vaults that hold their keys.
    resourceTypes: [accountResourceType(service, life), given.vaultType],
    operations,
    directory: directoryOf(records, entra),
    locations,
    subscriptionMoved: subscriptionId => life.forgetKeys(subscriptionId),
    endpoints: endpointsOf(options),
  }
  return {
    routes: [
      ...armRoutes(arm),
      ...accountRoutes(services),
      ...protectionRoutes(service, service.protection),
      ...reEncryptionRoutes(service, reEncryptions),
      ...deletedAccountRoutes(services),
      ...accountInformationRoutes(service, models.bases),
      ...baseModelRoutes(catalogue),
    ],
    resume: () => resumeOperations(arm),
    forgetEnded: () => operations.forgetEnded(),
    settle: () => operations.settle(),
  }
}

function directoryOf(records: RecordStore, entra: Entra): Directory {
  return {
    tenant: async tenantId => (await records.get(tenants, tenantId))?.value,
    principal: objectId => entra.principal(objectId),
    createTenant: (displayName, commit) => entra.createTenant(displayName, commit),
    createApplication: wanted => entra.createApplication(wanted),
  }
}

function endpointsOf({ domain, port }: Pick<ModulesOptions, 'domain' | 'port'>): ArmOptions['endpoints'] {
  const at = (host: string): string => `https://${host}.${domain}:${port}`
  return {
    authority: at('login'),
    resourceManager: at('management'),
    portal: at('portal'),
    audiences: [at('management'), 'https://management.azure.com/', 'https://management.core.windows.net/'],
    keyVaultSuffix: `.vault.${domain}:${port}`,
  }
}
