import { DummyDriver, Kysely, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler, sql } from 'kysely'
import type { Compilable } from 'kysely'

interface Tables {
  records: { collection: string; id: string; version: number; value: string }
}

/** SQLite's dialect for compiling only: node:sqlite answers at once, so that running through a driver would only add waiting. */
const queries = new Kysely<Tables>({
  dialect: {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: database => new SqliteIntrospector(database),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  },
})

/** The text of a query whose parameters come in just this order. Each is compiled once: compiling costs more than running. */
function textOf(query: Compilable, parameters: readonly string[]): string {
  const compiled = query.compile()
  if (compiled.parameters.join() !== parameters.join()) {
    throw new Error(`The parameters are ${compiled.parameters.join()}, not ${parameters.join()}: ${compiled.sql}`)
  }
  return compiled.sql
}

const recordAt = queries.selectFrom('records').where('collection', '=', '@collection').where('id', '=', '@id')

/** Parameters: none. Ids compare by their UTF-8 bytes, SQLite's own order of text. */
export const createRecords = textOf(
  queries.schema
    .createTable('records')
    .addColumn('collection', 'text', column => column.notNull())
    .addColumn('id', 'text', column => column.notNull())
    .addColumn('version', 'integer', column => column.notNull())
    .addColumn('value', 'text', column => column.notNull())
    .addPrimaryKeyConstraint('records_key', ['collection', 'id'])
    .modifyEnd(sql`strict, without rowid`),
  [],
)

/** Parameters: collection, id. */
export const selectRecord = textOf(recordAt.select(['version', 'value']), ['@collection', '@id'])

/** Parameters: collection, id. */
export const selectVersion = textOf(recordAt.select('version'), ['@collection', '@id'])

/** Parameters: collection, id, version, value. */
export const upsertRecord = textOf(
  queries
    .insertInto('records')
    .values({ collection: '@collection', id: '@id', version: sql<number>`${'@version'}`, value: '@value' })
    .onConflict(conflict =>
      conflict
        .columns(['collection', 'id'])
        .doUpdateSet(row => ({ version: row.ref('excluded.version'), value: row.ref('excluded.value') })),
    ),
  ['@collection', '@id', '@version', '@value'],
)

/** Parameters: collection, id. */
export const deleteRecord = textOf(
  queries.deleteFrom('records').where('collection', '=', '@collection').where('id', '=', '@id'),
  ['@collection', '@id'],
)

export interface RangeShape {
  readonly lowIncluded: boolean
  readonly bounded: boolean
}

/** Parameters: collection, low, high when bounded, limit. */
export function selectRange(shape: RangeShape, reverse: boolean): string {
  const query = inRange(shape)
    .select(['id', 'version', 'value'])
    .orderBy('id', reverse ? 'desc' : 'asc')
    .limit(sql<number>`${'@limit'}`)
  return textOf(query, [...rangeParameters(shape), '@limit'])
}

/** Parameters: collection, low, high when bounded. */
export function countRange(shape: RangeShape): string {
  const query = inRange(shape).select(row => row.fn.countAll<number>().as('records'))
  return textOf(query, rangeParameters(shape))
}

function inRange({ lowIncluded, bounded }: RangeShape) {
  const from = queries
    .selectFrom('records')
    .where('collection', '=', '@collection')
    .where('id', lowIncluded ? '>=' : '>', '@low')
  return bounded ? from.where('id', '<', '@high') : from
}

function rangeParameters({ bounded }: RangeShape): string[] {
  return bounded ? ['@collection', '@low', '@high'] : ['@collection', '@low']
}
