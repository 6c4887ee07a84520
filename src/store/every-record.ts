import { setImmediate } from 'node:timers/promises'
import type { Collection, ListOptions, RecordStore, Stored } from './records.ts'

const PAGE = 500

/** All records of a range, read page by page: others get their turn in between, and what is added behind meanwhile is read too. */
export async function* everyRecord<T>(
  records: Pick<RecordStore, 'list'>,
  from: Collection<T>,
  options: Omit<ListOptions, 'limit' | 'after'> = {},
): AsyncGenerator<Stored<T>> {
  for (let after: string | undefined; ;) {
    const page = await records.list(from, { ...options, limit: PAGE, ...(after === undefined ? {} : { after }) })
    yield* page
    if (page.length < PAGE) return
    after = page.at(-1)?.id
    // Reading never waits for anything: without this nobody else would be answered until the last page.
    await setImmediate()
  }
}
