import { VersionConflict, type Change, type ListOptions, type Written } from './records.ts'

const maximumIdBytes = 1024
const maximumValueBytes = 16 * 1024 * 1024
const maximumChanges = 10_000
const maximumLimit = 100_000

/** A checked change, its value already JSON (undefined: the record is removed). */
export interface EncodedChange {
  readonly collection: string
  readonly id: string
  readonly json: string | undefined
  readonly ifVersion: number | undefined
  readonly mustExist: boolean | undefined
}

/** The effect of a commit on one record: its new version and JSON, with undefined JSON where it is removed. */
export interface Write extends Written {
  readonly json: string | undefined
}

/** The ids of a listing, smallest first: from `low` (itself included or not) to below `high`. */
export interface Range {
  readonly low: string
  readonly lowIncluded: boolean
  readonly high: string | undefined
}

/** Refuses names that a database could not store or order: empty, overlong or ill-formed text and NUL. @throws RangeError */
export function checkName(what: 'collection' | 'id', name: string): void {
  if (name.length === 0) throw new RangeError(`A record's ${what} must not be empty.`)
  if (name.length > maximumIdBytes || Buffer.byteLength(name) > maximumIdBytes) {
    throw new RangeError(`A record's ${what} may have at most ${maximumIdBytes} bytes.`)
  }
  if (!name.isWellFormed() || name.includes('\0')) {
    throw new RangeError(`A record's ${what} must be well-formed text without NUL.`)
  }
}

/** Checks a commit and copies its values as JSON, so that the caller may go on changing them. @throws RangeError */
export function encodeChanges(changes: readonly Change[]): EncodedChange[] {
  if (changes.length > maximumChanges) {
    throw new RangeError(`A commit may hold at most ${maximumChanges} changes, not ${changes.length}.`)
  }
  return changes.map(change => {
    checkName('collection', change.collection)
    checkName('id', change.id)
    const { ifVersion } = change
    if (ifVersion !== undefined && !(Number.isSafeInteger(ifVersion) && ifVersion >= 0)) {
      throw new RangeError(`ifVersion must be a whole number from 0, not ${ifVersion}.`)
    }
    return {
      collection: change.collection,
      id: change.id,
      json: encodeValue(change),
      ifVersion,
      mustExist: change.mustExist,
    }
  })
}

function encodeValue({ collection, id, value }: Change): string | undefined {
  if (value === undefined) return undefined
  const json: string | undefined = JSON.stringify(value)
  if (json === undefined) throw new RangeError(`The value of ${collection}/${id} is not JSON.`)
  if (json.length > maximumValueBytes || Buffer.byteLength(json) > maximumValueBytes) {
    throw new RangeError(`The value of ${collection}/${id} is larger than ${maximumValueBytes} bytes.`)
  }
  return json
}

/**
 * Decides what a commit writes, or that it can't. Several changes of one record apply in order.
 * `versionOf` answers 0 where there is no record. @throws VersionConflict
 */
export function planCommit(
  changes: readonly EncodedChange[],
  versionOf: (collection: string, id: string) => number,
): Write[] {
  // A single change, the usual case, does not depend on earlier changes of the same commit.
  const planned = changes.length > 1 ? new Map<string, number>() : undefined
  return changes.flatMap(({ collection, id, json, ifVersion, mustExist }) => {
    const key = `${collection}\0${id}`
    const present = planned?.get(key) ?? versionOf(collection, id)
    if (ifVersion !== undefined && ifVersion !== present) throw new VersionConflict(collection, id)
    if (mustExist !== undefined) {
      if (mustExist !== present > 0) throw new VersionConflict(collection, id)
      return []
    }
    const version = json === undefined ? 0 : present + 1
    planned?.set(key, version)
    return { collection, id, version, json }
  })
}

/** What was written, without the values, for the caller of the commit. */
export function writtenBy(writes: readonly Write[]): Written[] {
  return writes.map(({ collection, id, version }) => ({ collection, id, version }))
}

/** @throws RangeError when the limit is not a whole number from 1 to 100,000 */
export function limitOf({ limit }: ListOptions): number {
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > maximumLimit) {
    throw new RangeError(`A list's limit must be a whole number from 1 to ${maximumLimit}, not ${limit}.`)
  }
  return limit
}

/** The ids that a listing covers. It is the same for every database, so that none needs LIKE and its escapes. */
export function rangeOf({ prefix = '', after, reverse = false }: Omit<ListOptions, 'limit'>): Range {
  if (prefix !== '') checkName('id', prefix)
  const end = prefixEnd(prefix)
  if (after === undefined || after === '') return { low: prefix, lowIncluded: true, high: end }
  checkName('id', after)
  if (reverse) {
    const high = end === undefined || compareIds(after, end) < 0 ? after : end
    return { low: prefix, lowIncluded: true, high }
  }
  return compareIds(after, prefix) < 0
    ? { low: prefix, lowIncluded: true, high: end }
    : { low: after, lowIncluded: false, high: end }
}

/** Order of the UTF-8 bytes, which is the order of code points. `<` on strings would compare UTF-16 units. */
export function compareIds(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

/** The smallest text above every text that begins with the prefix; undefined when there is none. */
function prefixEnd(prefix: string): string | undefined {
  const points = Array.from(prefix, character => character.codePointAt(0) ?? 0)
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    if (last < 0x10ffff) {
      // Surrogates are not characters, so after U+D7FF comes U+E000.
      return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1)
    }
  }
  return undefined
}

/** Changes that make room may use the last of the reserve. */
export function onlyRemoves(changes: readonly Change[]): boolean {
  const writes = changes.filter(({ mustExist }) => mustExist === undefined)
  return writes.length > 0 && writes.every(({ value }) => value === undefined)
}
