import { AdministratorError, connectAdministrator, type AdministratorClient } from '../folder/administrator-client.ts'
import { fitted } from '../base/terminal.ts'
import { allAccounts } from './all-accounts.ts'
import type { RecordsFinding } from '../audit/verify-folder.ts'
import { readEndpoints } from '../base/endpoints.ts'
import { recordsReport } from './audit.ts'
import { proveDeleted } from './prove-deleted.ts'
import { findLeftovers, isClean, leftoversReport, type LeftoversFinding } from './prove-leftovers.ts'

interface Blob {
  readonly blobId: string
  readonly kind: string
  readonly size: number
  readonly generation: number
  readonly storedSize: number
  readonly protectedBy: string
  readonly revocable: boolean
}

interface Proof {
  readonly blobId: string
  readonly outcome: 'Opened' | 'KeyUnavailable' | 'Corrupted'
  readonly message?: string
}

interface Account {
  readonly id: string
  readonly name: string
  readonly properties: {
    readonly encryption: {
      readonly keySource: string
      readonly status?: {
        readonly state: string
        readonly cause?: string
        readonly keyIdentifier?: string
        readonly since?: string
        readonly lastSuccess?: string
        readonly earlierGenerationBlobs?: number
      }
    }
  }
}

/** The findings about one account. */
interface Finding {
  readonly account: string
  readonly key: string
  readonly state: string
  /** For customer-managed keys: since when it has been in that state, and when its vault last allowed get, wrap and unwrap. */
  readonly since?: string
  readonly lastSuccess?: string
  /** Blobs that a revocation of the key would close within a lease. */
  readonly revocable: number
  readonly blobs: number
  readonly bytes: number
  readonly opened: number
  readonly closed: number
  /** Blobs still sealed under a data key from before the current key-encryption key. */
  readonly earlierGenerationBlobs: number
  /** Contradictions: a blob that does not open under its key, or one that opens without it. */
  readonly problems: string[]
  /** Each blob: its key, and whether it opened just now. */
  readonly each: readonly (Blob & Pick<Proof, 'outcome'>)[]
}

const VERSION = 'api-version=2025-06-01'

/**
 * Asks each account's vault anew and opens each of its blobs. Under an available key all open; without it, no revocable one does. Also
 * compares its settings, key ring, blobs, files, models and deployments with each other, and verifies the audit log. Resolves to the
 * exit code: 0 when everything is as promised, 1 also when there was nothing to look at.
 */
export async function prove(options: {
  dataDir: string
  account?: string | undefined
  /** If given, prove that the key of this file, model, deployment or account was destroyed. */
  deleted?: string | undefined
  whole: boolean
  format: 'table' | 'json'
  /** A line of `ownkey audit head`. An older state of the folder is a contradiction. */
  knownHead?: string | undefined
}): Promise<number> {
  const { dataDir, deleted, format } = options
  if (deleted !== undefined) return proveDeleted({ dataDir, id: deleted, account: options.account, format })
  const client = await connectAdministrator(options.dataDir)
  const all = await allAccounts<Account>(client)
  const wanted = all.filter(({ name }) => options.account === undefined || name === options.account)
  if (options.account !== undefined && wanted.length === 0) throw new Error(`There is no account ${options.account}.`)
  const findings: Finding[] = []
  for (const account of wanted)
    findings.push(await examine(client, account, options.whole).catch((error: unknown) => unexamined(account, error)))
  const isWhole = options.account === undefined
  const unseen = isWhole ? await unseenAccounts(client, dataDir) : 0
  const leftovers = isWhole ? await findLeftovers(client, dataDir) : undefined
  const kept = options.knownHead === undefined ? '' : `?knownhead=${encodeURIComponent(options.knownHead)}`
  const audit = await client.call<Summary['audit']>('GET', `/ownkey/audit/verify${kept}`)
  const isEmpty = findings.every(({ blobs }) => blobs === 0)
  const isContradicted =
    !audit.ok ||
    !audit.records.ok ||
    (leftovers !== undefined && !isClean(leftovers)) ||
    findings.some(({ problems }) => problems.length > 0)
  const isProven = !isContradicted && !isEmpty
  const { whole, knownHead } = options
  process.stdout.write(
    options.format === 'json'
      ? `${JSON.stringify({ proven: isProven, nothingLookedAt: isEmpty, accounts: findings, accountsOfOtherTenants: unseen, leftovers, notLookedAt: notLookedAt({ unseen, whole: options.whole }), audit }, null, 2)}\n`
      : report(findings, { audit, leftovers, unseen, isProven, isContradicted, isEmpty, whole, knownHead }),
  )
  return isProven ? 0 : 1
}

async function examine(client: AdministratorClient, account: Account, whole: boolean): Promise<Finding> {
  const blobs = new Map<string, Blob>()
  for (let path: string | undefined = `${account.id}/protectedData?${VERSION}`; path !== undefined;) {
    const page: { value: Blob[]; nextLink?: string } = await client.call('GET', path)
    for (const blob of page.value) blobs.set(blob.blobId, blob)
    const next = page.nextLink === undefined ? undefined : new URL(page.nextLink)
    path = next && `${next.pathname}${next.search}`
  }
  const proofs: Proof[] = []
  const contradictions: string[] = []
  let shown = account
  for (let after: string | undefined | null = null; after !== undefined;) {
    const body = { whole, ...(after === null ? {} : { after }) }
    const page: { account: Account; proofs: Proof[]; contradictions: string[]; next?: string } = await client.call(
      'POST',
      `${account.id}/proveProtection?${VERSION}`,
      body,
    )
    proofs.push(...page.proofs)
    contradictions.push(...page.contradictions)
    shown = page.account
    after = page.next
  }
  const { keySource, status } = shown.properties.encryption
  const isCustomers = keySource === 'Microsoft.KeyVault'
  const isAvailable = !isCustomers || status?.state === 'Active'
  const opened = proofs.filter(({ outcome }) => outcome === 'Opened').length
  const ofBlobs = proofs.flatMap(({ blobId, outcome, message = '' }) => {
    const blob = blobs.get(blobId)
    const mayOpen = isAvailable || blob?.revocable !== true
    if (outcome === 'Opened') return mayOpen ? [] : [`${blobId} (${blob?.kind}) opened without its key`]
    if (outcome === 'KeyUnavailable' && !mayOpen) return []
    return [`${blobId} (${blob?.kind ?? 'unknown'}) did not open: ${message}`]
  })
  const noneOpened = isAvailable && proofs.length > 0 && opened === 0
  const problems = [
    ...(noneOpened ? [`its key is said to be available, and it opened 0 of ${proofs.length} blobs`] : []),
    ...contradictions,
    ...ofBlobs,
  ]
  return {
    account: account.name,
    key: isCustomers ? (status?.keyIdentifier ?? 'customer-managed') : 'service-managed',
    state: isAvailable ? 'available' : `unavailable (${status?.cause ?? 'unknown'})`,
    ...(isCustomers ? { since: status?.since ?? '', lastSuccess: status?.lastSuccess ?? '' } : {}),
    revocable: [...blobs.values()].filter(({ revocable }) => revocable).length,
    blobs: proofs.length,
    bytes: [...blobs.values()].reduce((sum, { storedSize }) => sum + storedSize, 0),
    opened,
    closed: proofs.filter(({ outcome }) => outcome === 'KeyUnavailable').length,
    earlierGenerationBlobs: status?.earlierGenerationBlobs ?? 0,
    problems,
    each: proofs.flatMap(({ blobId, outcome }) => {
      const blob = blobs.get(blobId)
      return blob === undefined ? [] : [{ ...blob, outcome }]
    }),
  }
}

/** Where a record of an account was changed outside, the other accounts are still looked at. */
function unexamined({ name, properties }: Account, error: unknown): Finding {
  if (!(error instanceof AdministratorError) || error.code !== 'RecordTampered') throw error
  const none = { revocable: 0, blobs: 0, bytes: 0, opened: 0, closed: 0, earlierGenerationBlobs: 0, each: [] }
  const key = properties.encryption.status?.keyIdentifier ?? properties.encryption.keySource
  return { account: name, key, state: 'unknown', ...none, problems: [error.message] }
}

/** R27: data of other tenants is closed to this tenant's administrator, but its existence is not. */
async function unseenAccounts(client: AdministratorClient, dataDir: string): Promise<number> {
  const { tenantId } = await readEndpoints(dataDir)
  const { value } = await client.call<{ value: { tenantId: string; count: number }[] }>('GET', '/ownkey/accounts/count')
  return value.filter(one => one.tenantId !== tenantId).reduce((sum, { count }) => sum + count, 0)
}

/** A version of 32 digits does not fit beside the names, so its first eight are shown. JSON has all of them. */
function shortKey(key: string): string {
  return key.replace(/(\/keys\/[^/]+\/[0-9a-f]{8})[0-9a-f]{24}$/, '$1…')
}

interface Summary {
  readonly audit: {
    readonly ok: boolean
    readonly entries?: number
    readonly at?: number
    readonly records: RecordsFinding
  }
  /** Accounts that were not looked at. */
  readonly unseen: number
  readonly isProven: boolean
  readonly isContradicted: boolean
  /** Undefined in a proof of one account. */
  readonly leftovers: LeftoversFinding | undefined
  readonly knownHead: string | undefined
  readonly isEmpty: boolean
  readonly whole: boolean
}

function report(findings: readonly Finding[], summary: Summary): string {
  const { audit, leftovers, isEmpty, knownHead } = summary
  const lines = findings.flatMap(({ account, key, state, since, lastSuccess, ...rest }) => {
    const { blobs, bytes, opened, closed, revocable, problems, earlierGenerationBlobs: earlier } = rest
    const times = since === undefined ? '' : ` since ${since}\n     last used ${lastSuccess}`
    return [
      `${problems.length === 0 ? 'yes' : 'NO '}  ${account}: ${blobs} sealed ${blobs === 1 ? 'blob' : 'blobs'}, ${bytes.toLocaleString('en')} bytes; ${opened} opened under their key, ${closed} closed`,
      `     key ${shortKey(key)}`,
      `     ${state}${times}`,
      ...(since === undefined ? [] : [`     a revocation closes ${revocable} of ${blobs} within a lease`]),
      ...(earlier === 0
        ? []
        : [
            `     ${earlier} of ${blobs} are still under a data key from before the present key:`,
            '     re-encrypt moves them to one of its own',
          ]),
      ...problems.map(problem => `     ${problem}`),
    ]
  })
  const first = [
    ...lines,
    audit.ok
      ? `yes  the audit log is as it was written: ${audit.entries?.toLocaleString('en')} records`
      : `NO   the audit log was changed at record ${audit.at}`,
  ]
  const records = recordsReport(audit.records, knownHead)
    .trimEnd()
    .split('\n')
    .map((line, index) => (index === 0 ? `${audit.records.ok ? 'yes' : 'NO '}  ${line}` : `   ${line}`))
  const last = [
    ...(leftovers === undefined ? [] : leftoversReport(leftovers)),
    ...notLookedAt(summary).map(one => `note ${one}`),
    'note ./ownkey verify looks at soft-deleted accounts and at those of other tenants too.',
    ...(isEmpty ? ['NO   nothing was looked at: no blob is stored in these accounts.'] : []),
    verdict(summary),
    '',
  ]
  return [fitted(first.join('\n'), '     '), ...records, fitted(last.join('\n'), '     ')].join('\n')
}

/** What a proof does not cover. */
function notLookedAt({ unseen, whole }: Pick<Summary, 'unseen' | 'whole'>): string[] {
  return [
    ...(unseen === 0 ? [] : [`${unseen} accounts of other tenants were not looked at: they are closed to you.`]),
    ...(whole ? [] : ['of each blob its last chunk and its first were read: --whole reads all of them.']),
    'not looked at: soft-deleted accounts, the losses in events of jobs, keys in the vaults.',
  ]
}

function verdict({ unseen, isProven, isContradicted, isEmpty }: Summary): string {
  if (isProven) return `Everything ${unseen === 0 ? '' : 'else '}is as promised.`
  return isEmpty && !isContradicted ? 'Nothing was proven.' : 'This is NOT as promised.'
}
