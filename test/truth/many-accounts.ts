import assert from 'node:assert/strict'
import { Azure, refusal, untilAllowed, untilRefused, type TestAccount } from '../support/azure.ts'
import { CAUSES, type Keyed } from '../support/causes.ts'
import { cloudFor, LEASE_SECONDS } from '../support/cloud.ts'
import { brokenInvariants } from './invariants.ts'

const VAULT = 'kv-many'
/** Ways to take everybody's key at once. */
const OF_ALL = ['firewall closed to trusted services', 'version of the key disabled', 'key deleted', 'vault deleted']

export interface ManyRow {
  readonly cause: string
  readonly accounts: number
  /** Times of the last account to be refused, and to be let in again. */
  readonly refusedMs: number
  readonly givenBackMs: number
  readonly wrong: readonly string[]
}

/** Many accounts under one key of one vault. Taking one account's access leaves the others alone; taking all takes effect within the lease. */
export async function playMany(
  test: { after(fn: () => Promise<void>): void },
  count: number,
  causes: readonly string[] = OF_ALL,
): Promise<ManyRow[]> {
  const cloud = await cloudFor(test)
  const azure = await Azure.in(cloud.endpoints)
  const keys = await azure.vault(VAULT)
  const version = (await keys.createRsaKey('cmk', { keySize: 2048 })).properties.version ?? ''
  const all: { account: TestAccount; file: string }[] = []
  for (let n = 0; n < count; n++) {
    const account = await azure.account(`many-${n}`)
    await azure.policy(VAULT, 'add', account.principalId)
    const { status, body } = await account.encrypt({ vault: VAULT, name: 'cmk', version })
    assert.equal(status, 200, JSON.stringify(body))
    all.push({ account, file: await account.upload(`data of ${n}`) })
  }
  const [first, ...others] = all
  assert.ok(first)
  const keyed: Keyed = {
    azure,
    account: first.account,
    keys,
    vault: VAULT,
    uri: azure.vaultUri(VAULT),
    key: 'cmk',
    version,
    principalId: first.account.principalId,
  }
  const one = CAUSES.find(({ name }) => name === 'access policy removed')
  const rows = [await row(`${one?.name} of one of them`, one, [first], others)]
  for (const name of causes)
    rows.push(
      await row(
        name,
        CAUSES.find(cause => cause.name === name),
        all,
        [],
      ),
    )
  return rows

  async function row(
    cause: string,
    way: (typeof CAUSES)[number] | undefined,
    concerned: typeof all,
    unconcerned: typeof all,
  ): Promise<ManyRow> {
    assert.ok(way?.restore)
    await Promise.all(all.map(({ account, file }) => account.download(file)))
    await way.revoke(keyed, cloud)
    const refused = await Promise.all(concerned.map(({ account, file }) => untilRefused(() => account.download(file))))
    const refusedMs = Math.max(...refused.map(({ seconds }) => seconds * 1000))
    const wrong = refusedMs > (LEASE_SECONDS + 1) * 1000 ? [`refused after ${refusedMs.toFixed(0)} ms`] : []
    for (const { account, file } of unconcerned)
      if ((await refusal(() => account.download(file))) !== undefined) wrong.push(`${account.name} is refused as well`)
    wrong.push(...(await brokenInvariants(cloud, azure)))
    await way.restore(keyed, cloud)
    const again = await Promise.all(concerned.map(({ account, file }) => untilAllowed(() => account.download(file))))
    wrong.push(...(await brokenInvariants(cloud, azure)))
    return { cause, accounts: concerned.length, refusedMs, givenBackMs: Math.max(...again) * 1000, wrong }
  }
}
