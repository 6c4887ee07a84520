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
  /** `https://login…/<tenant>`, without a trailing slash: where the challenge sends clients. */
  readonly authority: (tenantId: string) => string
  /** The parent of all vaults' hosts, for example `https://vault.localhost:8443`: the audience of their tokens. */
  readonly vaultResource: () => string
  /** For example `https://<name>.vault.localhost:8443/`. */
  readonly vaultUri: (name: string) => string
  readonly audit: AuditSink
  /** Where RSA-HSM keys live; without one they are sealed software keys. */
  readonly token?: Token | undefined
  readonly auditLog: Pick<AuditLog, 'list'>
  readonly locations: readonly string[]
}

/** What every handler of this module works with. */
export interface KeyVaultServices extends KeyVaultOptions {
  readonly module: KeyModule
  readonly materials: MaterialStore
  /** Changes of one key, or of one vault, wait for each other instead of undoing each other's work. */
  readonly inTurn: InTurn
}
