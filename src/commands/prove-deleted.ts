import { openAuditSource, type AuditSource, type NamedPage, type Verification } from './audit-source.ts'
import { sealedFilesOf } from './sealed-files.ts'
import { fitted } from '../base/terminal.ts'
import { who } from './audit-table.ts'

type AuditRecord = NamedPage['records'][number]

/** The last record of the log about something. */
type Fate = 'destroyed' | 'softDeleted' | 'exists'

/** When and by whom a thing's key was destroyed or, if it was not, what happened to it last. */
interface Fact {
  readonly fate: Fate
  readonly kind: 'file' | 'model' | 'deployment' | 'account'
  readonly id: string
  /** Resource id of the account, as the log writes it. */
  readonly account: string
  /** Whether it went with the account's purge. */
  readonly withAccount: boolean
  /** A deployment of a base model has no copy of its own. */
  readonly hadKey: boolean
  readonly time: string
  readonly by: string
  readonly from: string
  readonly sequence: number
  readonly hash: string
  readonly operation: string
  readonly blobId?: string
  /** Whether a file of that blob is still in the folder. */
  readonly leftOnDisk?: boolean
}

const PAGE = 500
const ACCOUNTS = 'Microsoft.CognitiveServices/accounts'
const MOVE = 'Microsoft.Resources/subscriptions/resourceGroups/moveResources/action'
const PURGE = 'Microsoft.CognitiveServices/locations/resourceGroups/deletedAccounts/delete'

/**
 * R26, R28: says from the audit log when the key of a deleted file, model, deployment or account was destroyed, by whom, and
 * in which record; and verifies the log. Works while the cloud runs and while it does not. Resolves to the exit code: 0 when
 * its key was destroyed.
 */
export async function proveDeleted(options: {
  dataDir: string
  id: string
  account?: string | undefined
  format: string
}): Promise<number> {
  const source = await openAuditSource(options.dataDir)
  try {
    const facts: Fact[] = []
    for (const fact of await readFacts(source, options)) facts.push(await withDisk(fact, options.dataDir))
    const audit = await source.verify()
    const isProven =
      audit.ok && facts.length > 0 && facts.every(({ fate, leftOnDisk }) => fate === 'destroyed' && !leftOnDisk)
    const { id } = options
    process.stdout.write(
      options.format === 'json'
        ? `${JSON.stringify({ proven: isProven, id, facts, audit }, null, 2)}\n`
        : report(id, facts, audit, isProven),
    )
    return isProven ? 0 : 1
  } finally {
    await source.close()
  }
}

/** The record of a purge's end and, where somebody asked for the purge, of its beginning. */
interface Purge {
  readonly end: NamedRecord
  begin?: NamedRecord
}

interface NamedRecord {
  readonly record: AuditRecord
  readonly names: NamedPage['names']
}

/** Reads the log backwards. The last record about a thing counts, and a purge of its account counts for everything older. */
async function readFacts(
  source: AuditSource,
  { id, account }: { id: string; account?: string | undefined },
): Promise<Fact[]> {
  const found = new Map<string, { word: Word; named: NamedRecord; purge: Purge | undefined }>()
  const purges = new Map<string, Purge>()
  const moves = new Moves()
  let after: number | undefined
  let more = true
  while (more) {
    const page: NamedPage = await source.page({ after, limit: PAGE, newestFirst: true })
    for (const record of page.records) {
      const { resourceId = '', resultType } = record.entry
      if (resultType !== 'Success') continue
      moves.note(record)
      if (account !== undefined && lastName(resourceId) !== account.toLowerCase()) continue
      const identity = moves.lastIdOf(resourceId)
      const named = { record, names: page.names }
      const word = wordOn(record, id)
      const key = `${word?.kind} ${identity}`
      const purge = purges.get(identity)
      const isPurge = notePurge(purges, identity, named)
      if (word !== undefined && !found.has(key))
        found.set(key, { word, named, purge: isPurge ? purges.get(identity) : purge })
    }
    after = page.end
    more = page.more && after > 1
  }
  return [...found.values()].map(({ word, named, purge }) => factOf(word, named, id, purge))
}

/** Whether the record is the end of a purge. */
function notePurge(purges: Map<string, Purge>, identity: string, named: NamedRecord): boolean {
  const { operationName, resultDescription = '' } = named.record.entry
  if (operationName !== PURGE) return false
  const known = purges.get(identity)
  if (resultDescription === 'Purge begun' && known !== undefined) known.begin ??= named
  const isEnd = resultDescription.startsWith('Purged')
  if (isEnd) purges.set(identity, { end: named })
  return isEnd
}

/** Accounts get another id when they are moved to another group. Read backwards, each move tells what an older id became. */
class Moves {
  readonly #last = new Map<string, string>()

  note({ entry, sequence }: AuditRecord): void {
    if (entry.operationName !== MOVE) return
    const { to, resources } = propertiesOf(entry)
    if (typeof to !== 'string' || !Array.isArray(resources)) return
    for (const from of resources.map(String)) {
      const now = `${to}${from.slice(from.toLowerCase().indexOf('/providers/'))}`.toUpperCase()
      this.#last.set(from.toUpperCase(), this.lastIdOf(now))
      // Before the move another account had that id.
      this.#last.set(now, `${now} before ${sequence}`)
    }
  }

  lastIdOf(resourceId: string): string {
    const id = resourceId.toUpperCase()
    return this.#last.get(id) ?? id
  }
}

interface Word {
  readonly kind: Fact['kind']
  readonly fate: Fate
}

/** What a record says about the thing, if anything. */
function wordOn({ entry }: AuditRecord, id: string): Word | undefined {
  const { operationName, resourceId = '', resultDescription = '' } = entry
  const { fineTunedModel, resultFile } = propertiesOf(entry)
  const isNamed = resultDescription === id || resultDescription === `${id}: key destroyed`
  const own = operationName.slice(ACCOUNTS.length + 1)
  if (own === 'OpenAI/fine-tunes/succeeded') {
    if (fineTunedModel === id) return { kind: 'model', fate: 'exists' }
    return resultFile === id ? { kind: 'file', fate: 'exists' } : undefined
  }
  const match = /^(?:OpenAI\/(file|model)s|(deployment)s)\/(write|delete)$/.exec(own)
  if (match !== null) {
    const kind = (match[1] ?? match[2]) as Word['kind']
    return isNamed ? { kind, fate: match[3] === 'delete' ? 'destroyed' : 'exists' } : undefined
  }
  const isThis = resourceId.toLowerCase() === id.toLowerCase() || lastName(resourceId) === id.toLowerCase()
  if (!isThis) return undefined
  if (operationName === PURGE)
    return { kind: 'account', fate: resultDescription.startsWith('Purged') ? 'destroyed' : 'softDeleted' }
  if (operationName === `${ACCOUNTS}/delete`) return { kind: 'account', fate: 'softDeleted' }
  return operationName === `${ACCOUNTS}/write` ? { kind: 'account', fate: 'exists' } : undefined
}

function factOf({ kind, fate }: Word, named: NamedRecord, id: string, purge: Purge | undefined): Fact {
  const withAccount = purge !== undefined && kind !== 'account' && fate !== 'destroyed'
  const isPurged = purge !== undefined && (withAccount || kind === 'account')
  const { entry, sequence, hash } = isPurged ? purge.end.record : named.record
  // Keys are destroyed after the answer, so the caller is in the record of the beginning.
  const asked = isPurged && entry.callerIpAddress === 'service' ? (purge.begin ?? purge.end) : undefined
  const { record, names } = asked ?? (isPurged ? purge.end : named)
  const { blobId } = propertiesOf(entry)
  return {
    fate: isPurged ? 'destroyed' : fate,
    kind,
    id,
    account: entry.resourceId ?? '',
    withAccount,
    hadKey: kind !== 'deployment' || withAccount || entry.resultDescription !== id,
    time: entry.time,
    by: who(record, names),
    from: record.entry.callerIpAddress ?? '',
    sequence,
    hash,
    operation: entry.operationName,
    ...(typeof blobId === 'string' && !withAccount ? { blobId } : {}),
  }
}

async function withDisk(fact: Fact, dataDir: string): Promise<Fact> {
  const { blobId } = fact
  if (blobId === undefined) return fact
  return { ...fact, leftOnDisk: (await sealedFilesOf(dataDir, blobId)).length > 0 }
}

function propertiesOf(entry: AuditRecord['entry']): Record<string, unknown> {
  return (entry.properties ?? {}) as Record<string, unknown>
}

function lastName(resourceId: string): string {
  return resourceId.split('/').at(-1)?.toLowerCase() ?? ''
}

function report(id: string, facts: readonly Fact[], audit: Verification, isProven: boolean): string {
  const none = [
    `NO   the log has no record of '${id}': check the id; --account NAME tells things of the same name apart.`,
    '     Files are named by their id (file-…), models and deployments by their name, accounts by name or resource id.',
  ]
  const text = [
    ...(facts.length === 0 ? none : facts.flatMap(sentence)),
    audit.ok
      ? `yes  the audit log is as it was written: ${audit.entries.toLocaleString('en')} records`
      : `NO   the audit log was changed at record ${audit.at}: ${audit.reason}`,
    isProven ? 'Its key is destroyed, and with it the data.' : 'This is NOT proven.',
    '',
  ].join('\n')
  return fitted(text, '     ')
}

function sentence(fact: Fact): string[] {
  const { kind, id, account, fate, time, by, from, sequence, hash, operation, blobId, leftOnDisk } = fact
  const what = kind === 'account' ? `account ${id}` : `${kind} ${id} of ${lastName(account)}`
  const record = [
    `     by      ${by}${from === 'service' || from === '' ? '' : `, from ${from}`}`,
    `     record  ${sequence}, ${operation}`,
    `     hash    ${hash}`,
  ]
  if (fate === 'exists')
    return [`NO   ${what} still exists,`, `     by the log: this is its last record, of ${time}`, ...record]
  if (fate === 'softDeleted')
    return [
      `NO   ${what} is only soft-deleted, at ${time}:`,
      '     its keys are destroyed when it is purged',
      ...record,
    ]
  const how = howOf(fact)
  const disk =
    blobId === undefined
      ? []
      : [`     blob    ${blobId}: ${leftOnDisk ? 'A FILE OF IT IS STILL THERE' : 'no file of it in the folder'}`]
  return [`yes  ${what}:`, `     ${how} at ${time}`, ...record, ...disk]
}

function howOf({ kind, withAccount, hadKey }: Fact): string {
  if (withAccount) return 'its key was destroyed with its account'
  if (!hadKey) return 'it served a base model and had no data of its own; it was deleted'
  return kind === 'account' ? 'its keys were destroyed' : 'its key was destroyed'
}
