import { setTimeout } from 'node:timers/promises'
import type { Account } from './account.ts'
import type { AccountServices } from './accounts.ts'

const PATIENCE_MS = 2000

/** A reader of an account sees the vault's answer about its key, at most a lease old, but does not wait for a silent vault. */
export async function freshStatus(
  { keyRing, keyStatuses, keyLeaseMs }: AccountServices,
  { accountId, encryption }: Account,
  { atMostMs = keyLeaseMs }: { atMostMs?: number } = {},
): Promise<void> {
  if (encryption.keyVaultProperties === undefined || keyStatuses.sinceAsked(accountId) < atMostMs) return
  // The answer is in the status, also a refusal.
  const asked = keyRing.leases.probe(accountId).catch(() => undefined)
  await Promise.race([asked, setTimeout(PATIENCE_MS, undefined, { ref: false })])
}
