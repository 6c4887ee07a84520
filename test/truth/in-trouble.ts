import { LEASE_SECONDS, type TestCloud } from '../support/cloud.ts'
import { refusal, untilAllowed, untilRefused, pause } from '../support/azure.ts'
import { LASTING, type Trouble } from '../support/troubles.ts'
import { describe } from './operations.ts'
import { brokenInvariants } from './invariants.ts'
import type { Setting } from './play.ts'

/** Seconds that the service gives a vault for an operation, including retries. */
const PATIENCE_SECONDS = 8
const SLOW_MS = LEASE_SECONDS * 1000 + 500

const refusedAs = (cause: string): string => `403 CustomerManagedKeyUnavailable ${cause}`

export interface TroubleRow {
  readonly trouble: string
  readonly download: string
  readonly upload: string
  readonly chat: string
  readonly list: string
  /** From the beginning of the trouble to the first refusal; absent where nothing is refused. */
  readonly refusedMs?: number
  readonly givenBackMs: number
  readonly wrong: readonly string[]
}

/** What the vault does, and the answer of a download. */
const TROUBLES: Readonly<Record<string, { readonly kind: Trouble | 'slow'; readonly answer: string }>> = {
  'each request is answered with 429': { kind: LASTING['429'], answer: refusedAs('Throttled') },
  'each request is answered with 429 and Retry-After: 10': {
    kind: LASTING['429 with Retry-After: 10'],
    answer: refusedAs('Throttled'),
  },
  'each request is answered with 503': { kind: LASTING['503'], answer: refusedAs('VaultFailed') },
  'no request is answered': { kind: LASTING['no answer at all'], answer: refusedAs('Unreachable') },
  [`each answer takes ${SLOW_MS / 1000} s, longer than the lease`]: { kind: 'slow', answer: 'allowed' },
}

/** Plays a vault that answers badly or not at all, with an account whose key is in it. */
export async function playTroubles(
  cloud: TestCloud,
  { keyed, file }: Setting,
  names: readonly string[] = Object.keys(TROUBLES),
): Promise<TroubleRow[]> {
  const { account, outside } = keyed
  const rows: TroubleRow[] = []
  for (const trouble of names) {
    const known = TROUBLES[trouble]
    if (known === undefined || outside === undefined) throw new Error(`There is no trouble '${trouble}'.`)
    const { kind, answer: wanted } = known
    const isSlow = kind === 'slow'
    await untilAllowed(() => account.download(file))
    outside.trouble = isSlow ? outside.late(SLOW_MS) : kind
    if (isSlow) await pause(LEASE_SECONDS * 1000)
    const first = isSlow ? undefined : await untilRefused(() => account.download(file), 30)
    const answers = {
      download: describe(await refusal(() => account.download(file))),
      upload: describe(await refusal(async () => account.openai.files.delete(await account.upload('in trouble')))),
      chat: describe(await refusal(() => account.chat('served'))),
      list: describe(await refusal(() => account.openai.files.list())),
    }
    const expected = { download: wanted, upload: wanted, chat: 'allowed', list: 'allowed' }
    const wrong = Object.entries(expected).flatMap(([operation, answer]) => {
      const given = answers[operation as keyof typeof answers]
      return given === answer ? [] : [`${operation}: ${given} instead of ${answer}`]
    })
    const refusedMs = first === undefined ? undefined : first.seconds * 1000
    if (refusedMs !== undefined && refusedMs > (LEASE_SECONDS + PATIENCE_SECONDS + 1) * 1000)
      wrong.push(`refused after ${refusedMs.toFixed(0)} ms`)
    if (first !== undefined) wrong.push(...(await brokenInvariants(cloud, keyed.azure)))
    outside.trouble = () => 'pass'
    const givenBackMs = (await untilAllowed(() => account.download(file), 30)) * 1000
    wrong.push(...(await brokenInvariants(cloud, keyed.azure)))
    rows.push({ trouble, ...answers, ...(refusedMs === undefined ? {} : { refusedMs }), givenBackMs, wrong })
  }
  return rows
}
