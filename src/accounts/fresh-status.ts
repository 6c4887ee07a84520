import { setTimeout } from 'node:timers/promises'
import type { Account } from './account.ts'
import type { AccountServices } from './accounts.ts'

const PATIENCE_MS = 2000

/** Who looks at an account sees what the vault says of its key now, at most a lease old; but they wait for no silent vault. */
export async function freshStatus(
  { keyRing, keyStatuses, keyLeaseMs }: AccountServices,
  { accountId, encryption }: Account,
  { atMostMs = keyLeaseMs }: { atMostMs?: number } = {},
): Promise<void> {
  if (encryption.keyVaultProperties === undefined || keyStatuses.sinceAsked(accountId) < atMostMs) return
  // The answer, a refusal too, is in the status.
  const asked = keyRing.leases.probe(accountId).catch(() => undefined)
  await Promise.race([asked, setTimeout(PATIENCE_MS, undefined, { ref: false })])
}
