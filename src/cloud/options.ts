import type { Administration } from './administration.ts'
import type { Endpoints } from '../base/endpoints.ts'
import type { Env } from '../base/env.ts'

export interface CloudOptions {
  readonly dataDir: string
  /** 0: any free port. */
  readonly port: number
  /** Seconds that an unwrapped data key may be used: the bound of a revocation. */
  readonly keyLeaseSeconds: number
  /** Seconds after which vaults are asked about keys that nobody uses; default 60. */
  readonly keyWatchSeconds?: number
  /** Fine-tuning jobs that run at the same time; default 1: one takes every core there is. */
  readonly jobsAtOnce?: number
  /** Seconds without a sign of life after which a trainer or a model is ended; default 30. */
  readonly engineTimeoutSeconds?: number
  readonly location: string
  /** Hosts of vaults that are none of this cloud's and may be called, for example `*.vault.azure.net`; default none. */
  readonly outsideVaults?: readonly string[]
  /** Hosts of issuers of federated credentials whose addresses need not be public, for example `oidc.corp.example:8443`; default none. */
  readonly federatedIssuers?: readonly string[]
  /** The administrator may move the clock, and where they left it it stands after a restart. */
  readonly clockControl?: boolean
  /** The cloud starts on an OpenSSL FIPS provider or not at all; see commands/restart-process.ts. */
  readonly fips?: boolean
  /** Clients may send people's names and passwords (ROPC), which Entra discourages. */
  readonly allowPasswordGrant?: boolean
  /** A head that was kept elsewhere (`ownkey audit head`): an older state of the folder is refused. */
  readonly knownHead?: string | undefined
  /** Where the newest head is kept outside the folder: `file:PATH` or `command:PROGRAM`; see freshness.ts. */
  readonly freshness?: string | undefined
  /** A new CA takes the place of the one that is there, or that is missing or damaged: every client has to trust it anew. */
  readonly newCa?: boolean
  /**
   * Goes on with records that were put back, added, taken away or lost, and with blobs that are not theirs; a record whose own MAC is
   * wrong stays closed.
   */
  readonly acceptChangedRecords?: boolean
  /** Where diagnostic settings write to; default `<dataDir>/diagnostics`. */
  readonly diagnosticsFolder?: string | undefined
  /** RSA-HSM keys live in this PKCS #11 token; `label` may be left out where there is only one. */
  readonly pkcs11?:
    | { readonly modulePath: string; readonly pinFile: string; readonly label: string | undefined }
    | undefined
  /** Runs when the cloud answers, before `endpoints.json` says so; what it throws ends the start. */
  readonly prepare?: (given: PreparedCloud) => Promise<void>
  readonly env?: Env
  /** One line of the service's own log; never customer data. */
  readonly log?: (line: object) => void
}

/** A cloud that answers already. */
export interface PreparedCloud {
  readonly endpoints: Endpoints
  /** The local CA's certificate. */
  readonly caPem: string
  readonly administration: Administration
}
