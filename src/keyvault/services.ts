import type { KeyObject } from 'node:crypto'
import type { ResourceManager } from '../arm/resource-manager.ts'
import type { Env } from '../base/env.ts'
import type { Caller } from '../http/route.ts'
import type { AuditLog } from '../store/audit-log.ts'
import type { Token } from '../pkcs11/token.ts'
import type { RecordStore } from '../store/records.ts'
import type { AuditSink } from '../audit/audit-event.ts'
import type { KeyModule } from './key-module.ts'
import type { MaterialStore } from './material-store.ts'
import type { InTurn } from './turns.ts'

export interface KeyVaultOptions {
  readonly records: RecordStore
  readonly env: Env
  /** AES-256: seals the key material of the embedded vaults ("the HSM"). */
  readonly hsmKey: KeyObject
  readonly resourceManager: ResourceManager
  /** Verifies signature, issuer, audience and times of a token. @throws 401 */
  readonly verifyToken: (
    token: string,
    expected: { readonly audiences: readonly string[] },
  ) => Promise<Extract<Caller, { type: 'principal' }>>
  /** `https://login…/<tenant>`, without a trailing slash: the challenge sends clients there. */
  readonly authority: (tenantId: string) => string
  /** The parent of all vaults' hosts, such as `https://vault.localhost:8443`, which is the audience of their tokens. */
  readonly vaultResource: () => string
  /** For example `https://<name>.vault.localhost:8443/`. */
  readonly vaultUri: (name: string) => string
  readonly audit: AuditSink
  /** Where RSA-HSM keys live. Without a token they are sealed software keys. */
  readonly token?: Token | undefined
  readonly auditLog: Pick<AuditLog, 'list'>
  readonly locations: readonly string[]
}

/** The services that every handler of this module uses. */
export interface KeyVaultServices extends KeyVaultOptions {
  readonly module: KeyModule
  readonly materials: MaterialStore
  /** Changes of one key, or of one vault, wait for each other, so that none undoes another. */
  readonly inTurn: InTurn
}
