import { onlyRemoves } from './record-rules.ts'
import { mustExist, mustNotExist, VersionConflict } from './records.ts'
import type { Change, Collection, Found, Plan, RecordName, RecordStore, Stored, Transacted } from './records.ts'

/** Each attempt fails only because another commit succeeded. */
const ATTEMPTS = 100

/**
 * `transact` over `get` and `commit`. The records that were read must be unchanged at the commit; otherwise they are read and planned anew.
 * @throws VersionConflict of records that `plan` changes besides those that it read, or when others are faster again and again
 */
export async function transactOver<R>(
  records: Pick<RecordStore, 'get' | 'commit'>,
  names: readonly RecordName[],
  plan: (found: Found) => Plan<R>,
): Promise<Transacted<R>> {
  for (let attempt = 1; ; attempt += 1) {
    const read = await Promise.all(names.map(({ collection: name, id }) => records.get({ name }, id)))
    const { changes, result, options = {} } = plan(foundOf(names, read))
    const reserve = options.reserve ?? (onlyRemoves(changes) ? 'last' : undefined)
    try {
      const written = await records.commit([...guardsOf(names, read), ...changes], { ...options, reserve })
      return { result, written }
    } catch (error) {
      if (attempt === ATTEMPTS || !isOf(names, error)) throw error
    }
  }
}

function foundOf(names: readonly RecordName[], read: readonly (Stored<unknown> | undefined)[]): Found {
  return {
    get: <T>(from: Collection<T>, id: string) => {
      const at = names.findIndex(name => name.collection === from.name && name.id === id)
      // A record that is read without being named would not be checked at the commit.
      if (at < 0) throw new Error(`The transaction does not name the record ${from.name}/${id}, which its plan reads.`)
      return read[at] as Stored<T> | undefined
    },
  }
}

function guardsOf(names: readonly RecordName[], read: readonly (Stored<unknown> | undefined)[]): Change[] {
  return names.map(({ collection: name, id }, index) => {
    const version = read[index]?.version
    return version === undefined ? mustNotExist({ name }, id) : mustExist({ name }, id, version)
  })
}

function isOf(names: readonly RecordName[], error: unknown): boolean {
  return (
    error instanceof VersionConflict &&
    names.some(({ collection, id }) => collection === error.collection && id === error.id)
  )
}
