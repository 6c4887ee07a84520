import type { ResourceType } from '../arm/resource-manager.ts'
import type { Authenticator, Route } from '../http/route.ts'
import { accessPolicyRoutes } from './access-policy-routes.ts'
import { vaultAuthenticator } from './authenticate.ts'
import type { Watch } from '../store/records.ts'
import { backupRoutes } from './backup-key.ts'
import { createKeyRoutes } from './create-key.ts'
import { cryptoRoutes } from './crypto-operations.ts'
import { deleteKeyRoutes } from './delete-key.ts'
import { diagnosticSettingRoutes } from './diagnostic-setting-routes.ts'
import { deletedVaultRoutes } from './deleted-vault-routes.ts'
import { openMaterialStore } from './material-store.ts'
import { otherRoutes } from './other-operations.ts'
import { readKeyRoutes } from './read-keys.ts'
import type { KeyVaultOptions, KeyVaultServices } from './services.ts'
import { rotateKeyRoutes } from './rotate-key.ts'
import { openSoftwareModule } from './software-module.ts'
import { maintain } from './maintenance.ts'
import { withToken } from './token-module.ts'
import { takingTurns } from './turns.ts'
import { updateKeyRoutes } from './update-key.ts'
import { vaultResourceType } from './vault-resource-type.ts'
import { vaultRoutes } from './vault-routes.ts'

export interface KeyVault {
  readonly routes: readonly Route[]
  readonly authenticator: Authenticator
  readonly resourceType: ResourceType
  /** Purges what is due and acts on rotation policies. Call it regularly, and after the clock was moved. */
  maintain(): Promise<void>
  /** Drops decoded keys that are not in use. Call it regularly in every process. */
  forgetIdle(): void
  /** Drops decoded keys that other processes delete or purge. */
  followOthers(): Watch
}

/** The embedded Key Vault: provider Microsoft.KeyVault and the keys data plane of every vault (R05, R06). */
export function openKeyVault(options: KeyVaultOptions): KeyVault {
  const module = withToken(openSoftwareModule(options.env), options.token)
  const materials = openMaterialStore(options.records, options.hsmKey, module)
  const services: KeyVaultServices = { ...options, module, materials, inTurn: takingTurns() }
  return {
    routes: [
      ...vaultRoutes(services),
      ...accessPolicyRoutes(services),
      ...deletedVaultRoutes(services),
      ...diagnosticSettingRoutes(services),
      ...createKeyRoutes(services),
      ...readKeyRoutes(services),
      ...updateKeyRoutes(services),
      ...deleteKeyRoutes(services),
      ...rotateKeyRoutes(services),
      ...cryptoRoutes(services),
      ...backupRoutes(services),
      ...otherRoutes(services),
    ],
    authenticator: vaultAuthenticator(services),
    resourceType: vaultResourceType(services),
    forgetIdle: () => materials.forgetIdle(),
    followOthers: () => materials.followOthers(),
    maintain: () => services.inTurn('maintenance', () => maintain(services)),
  }
}
