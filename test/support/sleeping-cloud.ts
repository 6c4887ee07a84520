import { cloudFor, type TestCloud } from './cloud.ts'
import type { OutsideVault } from './outside-vault.ts'

const preload = new URL('sleeping-clock.mjs', import.meta.url).href
/** After a longer sleep a lease is over, but tokens are still valid. */
const SLEEP_SECONDS = 120
const LEASE_SECONDS = 60

/** Sleeps on SIGUSR2 for longer than its lease. The lease is so long that nothing else ends it meanwhile. */
export function cloudThatSleeps(
  test: { after(fn: () => Promise<void>): void },
  { pattern }: OutsideVault,
): Promise<TestCloud> {
  process.env['OWNKEY_TEST_SLEEP_SECONDS'] = String(SLEEP_SECONDS)
  process.env['NODE_OPTIONS'] += ` --import=${preload}`
  return cloudFor(test, ['--outside-vaults', pattern, '--key-lease-seconds', String(LEASE_SECONDS)])
}
