import { Azure, pause, refusal, untilAllowed } from '../test/support/azure.ts'
import { CAUSES, keyedAccount, type Cause, type Keyed } from '../test/support/causes.ts'
import { cloudFor, type TestCloud } from '../test/support/cloud.ts'
import type { Figure } from './figure.ts'

const LEASE_SECONDS = 1
const ACCOUNTS = 20
const REVOCATIONS = 200
const POLL_MS = 20
/** Ways that take the key from one account and give it back; the truth table has the others. */
const WAYS = CAUSES.filter(
  ({ name, restore, where, tampers }) =>
    restore !== undefined && where === undefined && !tampers && !name.startsWith('subscription'),
)

/** R19: from the answer to the customer's change to the first refused download, of many accounts at once and in every way. */
export async function figures(): Promise<Figure[]> {
  let close = (): Promise<void> => Promise.resolve()
  const cloud = await cloudFor({ after: (end: () => Promise<void>) => void (close = end) }, [
    '--key-lease-seconds',
    String(LEASE_SECONDS),
  ])
  try {
    const azure = await Azure.in(cloud.endpoints)
    const all: { keyed: Keyed; file: string }[] = []
    for (let n = 0; n < ACCOUNTS; n++) {
      const keyed = await keyedAccount(azure, `revoked-${n}`)
      all.push({ keyed, file: await keyed.account.upload('bench') })
    }
    const seconds: number[] = []
    for (let round = 0; round < REVOCATIONS / ACCOUNTS; round++) {
      const measured = all.map(async ({ keyed, file }, index) => {
        const way = WAYS[(round * ACCOUNTS + index) % WAYS.length]
        if (way !== undefined) seconds.push(await secondsToRefusal(cloud, { keyed, file }, way))
      })
      await Promise.all(measured)
    }
    return distribution(seconds)
  } finally {
    await close()
  }
}

async function secondsToRefusal(
  cloud: TestCloud,
  { keyed, file }: { keyed: Keyed; file: string },
  way: Cause,
): Promise<number> {
  const { account } = keyed
  await account.download(file)
  await way.revoke(keyed, cloud)
  const start = performance.now()
  while ((await refusal(() => account.download(file))) === undefined) await pause(POLL_MS)
  const seconds = (performance.now() - start) / 1000
  await way.restore?.(keyed, cloud)
  await untilAllowed(() => account.download(file))
  return seconds
}

function distribution(seconds: readonly number[]): Figure[] {
  const sorted = seconds.toSorted((a, b) => a - b)
  const row = (name: string, share: number): Figure => {
    const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
    const against = `a lease of ${LEASE_SECONDS} s`
    return {
      name: `revocation in ${WAYS.length} ways, ${name} of ${sorted.length}`,
      value,
      unit: 's',
      ratio: LEASE_SECONDS / value,
      against,
    }
  }
  return [row('median', 0.5), row('99 %', 0.99), row('slowest', 1)]
}
