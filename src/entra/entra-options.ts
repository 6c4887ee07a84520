import type { KeyObject } from 'node:crypto'
import type { Env } from '../base/env.ts'
import type { RecordStore } from '../store/records.ts'

export interface EntraOptions {
  readonly records: RecordStore
  readonly env: Env
  /** AES-256: seals signing keys and the administrator's secret. */
  readonly sealingKey: KeyObject
  /** For example `localhost`. */
  readonly domain: string
  /** `https://login…/<tenant>`, without a trailing slash: where challenges send clients. */
  readonly authority: (tenantId: string) => string
  /** Origin of the portal, to which signed-in users are sent back. */
  readonly portal: string
  /** Clients may send people's names and passwords (`start --allow-ropc`). */
  readonly allowPasswordGrant?: boolean
  /** Hosts of federated issuers whose addresses need not be public; see issuer-keys.ts. */
  readonly federatedIssuers?: readonly string[] | undefined
  readonly log?: ((message: string, error: unknown) => void) | undefined
}
