import { giveWay } from '../base/turns.ts'
import type { Collection, ListOptions, RecordStore, Stored } from './records.ts'

/** What is read at a time takes a few milliseconds. */
const PAGE = 100

type Records = Pick<RecordStore, 'list'>
type Range = Omit<ListOptions, 'limit'>

/** All records of a range, read page by page: others get their turn in between, and what is added behind meanwhile is read too. */
export async function* everyRecord<T>(
  records: Records,
  from: Collection<T>,
  options: Range = {},
): AsyncGenerator<Stored<T>> {
  for await (const page of pages(records, from, options)) yield* page
}

/** The same as a list, for ranges that memory holds. */
export async function allRecords<T>(records: Records, from: Collection<T>, options: Range = {}): Promise<Stored<T>[]> {
  const found: Stored<T>[] = []
  for await (const page of pages(records, from, options)) found.push(...page)
  return found
}

async function* pages<T>(records: Records, from: Collection<T>, options: Range): AsyncGenerator<Stored<T>[]> {
  for (let { after } = options; ;) {
    // Reading never waits for anything: without this nobody else would be answered until the last page.
    await giveWay()
    const page = await records.list(from, { ...options, limit: PAGE, ...(after === undefined ? {} : { after }) })
    yield page
    if (page.length < PAGE) return
    after = page.at(-1)?.id
  }
}
