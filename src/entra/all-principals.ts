import { everyRecord } from '../store/every-record.ts'
import type { RecordStore } from '../store/records.ts'
import { principals, type Principal } from './records.ts'

/** Every principal of every tenant, by object id. */
export async function* allPrincipals(records: RecordStore, after?: string): AsyncGenerator<Principal> {
  for await (const { value } of everyRecord(records, principals, after === undefined ? {} : { after })) yield value
}
