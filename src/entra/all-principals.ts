import type { RecordStore } from '../store/records.ts'
import { principals, type Principal } from './records.ts'

const page = 500

/** Every principal of every tenant, by object id. */
export async function* allPrincipals(records: RecordStore, from?: string): AsyncGenerator<Principal> {
  let after = from
  do {
    const found = await records.list(principals, { limit: page, ...(after === undefined ? {} : { after }) })
    for (const { value } of found) yield value
    after = found.length === page ? found.at(-1)?.id : undefined
  } while (after !== undefined)
}
