import { createHash } from 'node:crypto'
import type { NewAuditEntry } from '../store/audit-entry.ts'

type Held = NewAuditEntry & { readonly time: string }

/** Held one by one, about a kilobyte each. */
const MAX_HELD = 2000
/** Beyond that they are counted by operation, resource, caller and result; beyond this number of counts, all together. */
const MAX_COUNTED = 1000

interface Counted {
  readonly first: Held
  last: string
  count: number
}

/**
 * Audit records of operations that change nothing, while a full disk has no room for them. They wait here, so that reading and chats
 * go on. Once there is room they are written, with the time of the operation. A crash in between loses them.
 */
export class HeldRecords {
  #held: Held[] = []
  readonly #counted = new Map<string, Counted>()

  /** How many operations wait to be recorded. */
  get size(): number {
    return this.#held.length + this.#counted.values().reduce((sum, { count }) => sum + count, 0)
  }

  hold(entry: Held): void {
    if (this.#held.length < MAX_HELD) this.#held.push(entry)
    else this.#count(entry)
  }

  /** All records that wait, the oldest first. A caller that can't write one returns it with `hold`. */
  take(): Held[] {
    const taken = [...this.#held, ...[...this.#counted.values()].map(recordOf)]
    this.#held = []
    this.#counted.clear()
    return taken
  }

  #count(entry: Held): void {
    const { operationName, resourceId = '', identity, resultType } = entry
    const kind = createHash('sha256')
      .update(JSON.stringify([operationName, resourceId, identity, resultType]))
      .digest('base64')
    const name = this.#counted.has(kind) || this.#counted.size < MAX_COUNTED ? kind : ''
    const counted = this.#counted.get(name)
    if (counted === undefined) this.#counted.set(name, { first: entry, last: entry.time, count: 1 })
    else {
      counted.last = entry.time
      counted.count += 1
    }
  }
}

function recordOf({ first, last, count }: Counted): Held {
  if (count === 1) return first
  return {
    ...first,
    time: last,
    resultDescription: `${count} such operations while the disk was full; there were too many to be recorded one by one.`,
    properties: { ...first.properties, aggregatedCount: count, firstTime: first.time, lastTime: last },
  }
}
