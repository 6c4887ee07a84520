import type { Administration } from './administration.ts'
import type { Endpoints } from '../base/endpoints.ts'
import type { Env } from '../base/env.ts'
import type { EngineSettings } from '../engines/engine-settings.ts'

export interface CloudOptions {
  readonly dataDir: string
  /** 0: any free port. */
  readonly port: number
  /** Seconds for which an unwrapped data key may be used, which bounds a revocation. */
  readonly keyLeaseSeconds: number
  /** Seconds between questions to vaults about unused keys; default 60. */
  readonly keyWatchSeconds?: number
  /** Fine-tuning jobs that run at the same time; default 1, since one takes all cores. */
  readonly jobsAtOnce?: number
  /** Seconds without a sign of life after which a trainer or a model is ended; default 30. */
  readonly engineTimeoutSeconds?: number
  /** How trainers and models run. */
  readonly engines?: EngineSettings
  readonly location: string
  /** Hosts of outside vaults that may be called, for example `*.vault.azure.net`; default none. */
  readonly outsideVaults?: readonly string[]
  /** Hosts of issuers of federated credentials whose addresses need not be public, for example `oidc.corp.example:8443`; default none. */
  readonly federatedIssuers?: readonly string[]
  /** Whether the administrator may move the clock. A restart keeps it as it was left. */
  readonly clockControl?: boolean
  /** Start on an OpenSSL FIPS provider or not at all; see commands/restart-process.ts. */
  readonly fips?: boolean
  /** Whether clients may send people's names and passwords (ROPC), which Entra discourages. */
  readonly allowPasswordGrant?: boolean
  /** A head that was kept elsewhere (`ownkey audit head`). An older state of the folder is refused. */
  readonly knownHead?: string | undefined
  /** Where the newest head is kept outside of the folder: `file:PATH` or `command:PROGRAM`; see freshness.ts. */
  readonly freshness?: string | undefined
  /** Make a new CA in place of the present, missing or damaged one. Every client has to trust it anew. */
  readonly newCa?: boolean
  /**
   * Go on with records that were put back, added, removed or lost, and with blobs that don't fit them. A record with a wrong MAC
   * stays closed.
   */
  readonly acceptChangedRecords?: boolean
  /** The folder for diagnostic settings; default `<dataDir>/diagnostics`. */
  readonly diagnosticsFolder?: string | undefined
  /** The PKCS #11 token for RSA-HSM keys. `label` may be left out where there is only one. */
  readonly pkcs11?:
    | { readonly modulePath: string; readonly pinFile: string; readonly label: string | undefined }
    | undefined
  /** Runs when the cloud answers, before `endpoints.json` is written. An error ends the start. */
  readonly prepare?: (given: PreparedCloud) => Promise<void>
  readonly env?: Env
  /** One line of the service's own log; never customer data. */
  readonly log?: (line: object) => void
}

/** A cloud that answers, before its start has ended. */
export interface PreparedCloud {
  readonly endpoints: Endpoints
  /** The local CA's certificate. */
  readonly caPem: string
  readonly administration: Administration
}
