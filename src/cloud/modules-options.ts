import type { ControlledClock } from '../clock/controlled-clock.ts'
import type { RootKeys } from '../encryption/root-key.ts'
import type { CatalogueOptions } from '../engines/catalogue.ts'
import type { EngineSettings } from '../engines/engine-settings.ts'
import type { Gpu } from '../engines/gpu.ts'
import type { Env } from '../base/env.ts'
import type { Snapshots } from '../folder/snapshots.ts'
import type { Token } from '../pkcs11/token.ts'
import type { AuditLog } from '../store/audit-log.ts'
import type { BlobStore } from '../store/blobs.ts'
import type { Quarantine } from '../store/quarantine.ts'
import type { RecordStore } from '../store/records.ts'

/** What the modules of a cloud need. */
export interface ModulesOptions {
  readonly env: Env
  readonly port: number
  readonly domain: string
  readonly records: RecordStore
  readonly dataDir: string
  readonly blobs: BlobStore
  /** Where blobs without a record go; absent: they stay. */
  readonly quarantine?: Quarantine | undefined
  readonly snapshots: Snapshots
  readonly audit: AuditLog
  /** The operator's folder for records that diagnostic settings send to storage accounts. */
  readonly diagnosticsFolder: string
  /** If given, the administrator may move it. */
  readonly clock?: ControlledClock | undefined
  readonly rootKeys: RootKeys
  /** The token for RSA-HSM keys. */
  readonly token?: Token | undefined
  /** Hosts of outside vaults that may be called; see outside-vaults.ts. */
  readonly outsideVaults?: readonly string[]
  /** Hosts of federated issuers that need not be public. */
  readonly federatedIssuers?: readonly string[]
  readonly keyLeaseSeconds: number
  readonly keyWatchSeconds: number
  /** The operator's base models and their aliases, besides the embedded one. */
  readonly bases?: CatalogueOptions | undefined
  /** Fine-tuning jobs that run at the same time; default 1. */
  readonly jobsAtOnce?: number | undefined
  /** Seconds without a sign of life after which a trainer or a model is ended; default 30. */
  readonly engineTimeoutSeconds?: number | undefined
  readonly engines?: EngineSettings | undefined
  /** What was found of `engines.gpu`. */
  readonly gpu?: Gpu | undefined
  /** Whether clients may send people's names and passwords. */
  readonly allowPasswordGrant?: boolean
  readonly location: string
  readonly log: (line: object) => void
}
