import type { KeyObject } from 'node:crypto'
import { mac, verifyMac } from '../crypto/derive.ts'
import type { AuditLog } from '../store/audit-log.ts'
import { everyRecord } from '../store/every-record.ts'
import { collection, put, remove, type Change, type RecordStore, type Stored } from '../store/records.ts'
import { serviceKeyId } from './key-encryption-key.ts'
import { serviceKeys } from './key-ring.ts'
import { hasMac, keyRows, type KeyRow } from './key-ring-rows.ts'
import { isNamed, keyStates, putState, type NamedKey } from './key-state.ts'

/** The mark that every account has got its key state. After that a missing one is tampering. */
const made = collection<{ readonly mac: string }>('encryption.key-states-made')
const MADE_ID = 'made'
const OPERATION = 'OwnKey/keyRing/statesMade'
const PAGE = 1000

export interface MakeKeyStatesOptions {
  readonly records: RecordStore
  readonly macKey: KeyObject
  readonly audit: AuditLog
  readonly settingsOf: (accountId: string) => Promise<NamedKey | undefined>
  readonly log: (line: object) => void
}

/**
 * Once for each data folder: gives older accounts their key states. The audit log, which can't be cut without a trace, records
 * that it was done, so nobody can make it run again by removing the mark.
 * @throws Error when the mark was removed or the audit log was changed
 */
export async function makeKeyStates(options: MakeKeyStatesOptions): Promise<void> {
  const { records, macKey, audit } = options
  const mark = await records.get(made, MADE_ID)
  if (mark !== undefined) {
    if (verifyMac(macKey, Buffer.from(mark.value.mac, 'base64'), 'key states made')) return
    throw tampered('the mark that every account has a key state was not written by this service')
  }
  await mustBeFirst(options)
  let accounts = 0
  for await (const rows of rowsByAccount(records)) if (await makeOne(options, rows)) accounts += 1
  const value = { mac: mac(macKey, 'key states made').toString('base64') }
  const entry = { category: 'AuditEvent', operationName: OPERATION, resultType: 'Success' as const }
  await audit.append({ ...entry, callerIpAddress: 'service', properties: { accounts } }, [put(made, MADE_ID, value, 0)])
}

async function mustBeFirst({ records, audit }: MakeKeyStatesOptions): Promise<void> {
  const verdict = await audit.verify()
  if (!verdict.ok) throw tampered(`the audit log was changed at record ${verdict.at}: ${verdict.reason}`)
  if (verdict.entries === 0 && (await records.count(keyRows)) > 0)
    throw tampered('there are data keys, and an audit log without a record')
  for (let after = 0; ;) {
    const page = await audit.list({ after, limit: PAGE })
    if (page.some(({ entry }) => entry.operationName === OPERATION))
      throw tampered('the mark that every account has a key state was removed')
    if (page.length < PAGE) return
    after = page.at(-1)?.sequence ?? after
  }
}

/** A key ring that contradicts its settings gets no state. It stays closed, and the error says why. */
async function makeOne({ records, macKey, settingsOf, log }: MakeKeyStatesOptions, rows: readonly Stored<KeyRow>[]) {
  const last = rows.at(-1)?.value
  if (last === undefined || (await records.get(keyStates, last.accountId)) !== undefined) return false
  const { accountId, kekId, generation } = last
  const settings = await settingsOf(accountId)
  const isSound = rows.every(({ value }) => hasMac(macKey, value) && value.kekId === kekId)
  if (!isSound || (settings !== undefined && !isNamed(settings, kekId))) {
    log({ level: 'error', message: 'The data keys of an account are not what this service wrote', accountId })
    return false
  }
  const isService = kekId === serviceKeyId(accountId)
  // Under a customer's key it is not known any more which generations the service's key had wrapped before, so all count as such.
  const own = { accountId, kekId, ownSince: isService ? 1 : generation + 1 }
  const changes: Change[] = [
    putState(
      macKey,
      undefined,
      own,
      rows.map(({ value }) => value),
    ),
  ]
  if (!isService) changes.push(remove(serviceKeys, accountId))
  await records.commit(changes)
  return true
}

async function* rowsByAccount(records: RecordStore): AsyncGenerator<Stored<KeyRow>[]> {
  let ofOne: Stored<KeyRow>[] = []
  for await (const row of everyRecord(records, keyRows)) {
    if (row.value.status !== 'active') continue
    if (ofOne[0] !== undefined && ofOne[0].value.accountId !== row.value.accountId) {
      yield ofOne
      ofOne = []
    }
    ofOne.push(row)
  }
  if (ofOne.length > 0) yield ofOne
}

function tampered(why: string): Error {
  return new Error(
    `The records of the data folder were changed from outside: ${why}. Run \`ownkey audit verify\`, and restore the data folder from a backup.`,
  )
}
