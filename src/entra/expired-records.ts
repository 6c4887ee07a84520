import type { Env } from '../base/env.ts'
import { unlessConflict } from '../store/conflicts.ts'
import { allRecords } from '../store/every-record.ts'
import { remove, type Change, type Collection, type RecordStore, type Stored } from '../store/records.ts'

/** A record that is nobody's any more from a moment on. */
export interface Expiring {
  /** Milliseconds since 1970. */
  readonly expiresAt: number
}

const SWEEP_MS = 600_000
const SWEPT_AT_ONCE = 1000

/** Removes a collection's expired records, at most each ten minutes. @param removal default: the record alone */
export function sweepOf<T extends Expiring>(
  { records, env }: { readonly records: RecordStore; readonly env: Env },
  from: Collection<T>,
  removal: (expired: Stored<T>) => Change[] = removesAlone(from),
): () => Promise<void> {
  let sweptAt = env.now()
  return async () => {
    const now = env.now()
    if (Math.abs(now - sweptAt) < SWEEP_MS) return
    sweptAt = now
    const expired = (await allRecords(records, from)).filter(({ value }) => value.expiresAt <= now)
    for (let at = 0; at < expired.length; at += SWEPT_AT_ONCE)
      // Another process sweeps too.
      await records.commit(expired.slice(at, at + SWEPT_AT_ONCE).flatMap(removal)).catch(unlessConflict)
  }
}

/**
 * To be called before each new record: sweeps the collection, and keeps it below `most` records. Where it is full, expired ones go, else the
 * oldest of those that may; false: none may. Several go at a time, since looking for them reads them all.
 */
export function makesSpace<T extends Expiring>(
  { records, env }: { readonly records: RecordStore; readonly env: Env },
  from: Collection<T>,
  { most, isLeast = () => true, removal = removesAlone(from) }: Bound<T>,
): () => Promise<boolean> {
  const sweep = sweepOf({ records, env }, from, removal)
  return async () => {
    await sweep()
    if ((await records.count(from)) < most) return true
    const all = (await allRecords(records, from)).toSorted((a, b) => a.value.expiresAt - b.value.expiresAt)
    const expired = all.filter(({ value }) => value.expiresAt <= env.now())
    const going = expired.length > 0 ? expired : all.filter(({ value }) => isLeast(value))
    if (going.length === 0) return false
    await records.commit(going.slice(0, Math.ceil(most / 50)).flatMap(removal)).catch(unlessConflict)
    return true
  }
}

interface Bound<T> {
  readonly most: number
  /** Whether a record may go before it has expired; default: any. */
  readonly isLeast?: (value: T) => boolean
  readonly removal?: (going: Stored<T>) => Change[]
}

function removesAlone<T>(from: Collection<T>): (going: Stored<T>) => Change[] {
  return ({ id, version }) => [remove(from, id, version)]
}
