import type { Tenant } from '../entra/records.ts'
import type { Env } from '../base/env.ts'
import type { AuditLog } from '../store/audit-log.ts'
import type { Change, RecordStore } from '../store/records.ts'
import type { Operations } from './operations.ts'
import type { ResourceManager, ResourceType } from './resource-manager.ts'

/** What Resource Manager needs from the directories. */
export interface Directory {
  tenant(tenantId: string): Promise<Tenant | undefined>
  principal(objectId: string): Promise<{ readonly tenantId: string; readonly kind: string } | undefined>
  /** `commit` writes the tenant together with its audit record. */
  createTenant(
    displayName: string,
    commit: (tenantId: string, changes: readonly Change[]) => Promise<unknown>,
  ): Promise<string>
  createApplication(wanted: {
    readonly tenantId: string
    readonly displayName: string
    /** The tenant is written with it, and administered by it. */
    readonly ofNewTenant?: boolean
    readonly commit: (made: { clientId: string; objectId: string }, changes: readonly Change[]) => Promise<unknown>
  }): Promise<{ readonly clientId: string; readonly objectId: string; readonly clientSecret: string }>
}

export interface ArmOptions {
  readonly records: RecordStore
  readonly env: Env
  readonly audit: Pick<AuditLog, 'append'>
  readonly resourceManager: ResourceManager
  readonly resourceTypes: readonly ResourceType[]
  readonly operations: Operations
  readonly directory: Directory
  readonly locations: readonly string[]
  /** R32: identities stay behind when their subscription is moved to another tenant, so their tokens must not be used any more. */
  readonly subscriptionMoved: (subscriptionId: string) => Promise<void>
  readonly endpoints: {
    readonly authority: string
    readonly resourceManager: string
    readonly portal: string
    readonly audiences: readonly string[]
    readonly keyVaultSuffix: string
  }
}
