import { giveWay } from '../base/turns.ts'
import type { Collection, ListOptions, RecordStore, Stored } from './records.ts'

/** Records of one page, which takes a few milliseconds. */
const PAGE = 100

type Records = Pick<RecordStore, 'list'>
type Range = Omit<ListOptions, 'limit'>

/** All records of a range, page by page. Others have their turn in between, and records that are added behind meanwhile are read too. */
export async function* everyRecord<T>(
  records: Records,
  from: Collection<T>,
  options: Range = {},
): AsyncGenerator<Stored<T>> {
  for await (const page of pages(records, from, options)) yield* page
}

/** The same as a list, for ranges that fit into memory. */
export async function allRecords<T>(records: Records, from: Collection<T>, options: Range = {}): Promise<Stored<T>[]> {
  const found: Stored<T>[] = []
  for await (const page of pages(records, from, options)) found.push(...page)
  return found
}

async function* pages<T>(records: Records, from: Collection<T>, options: Range): AsyncGenerator<Stored<T>[]> {
  for (let { after } = options; ;) {
    // Reads never wait, so without this no other request would be answered until the last page.
    await giveWay()
    const page = await records.list(from, { ...options, limit: PAGE, ...(after === undefined ? {} : { after }) })
    yield page
    if (page.length < PAGE) return
    after = page.at(-1)?.id
  }
}
