import { DummyDriver, Kysely, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler, sql } from 'kysely'
import type { Compilable } from 'kysely'

interface Tables {
  records: { collection: string; id: string; version: number; value: string; mac: Uint8Array }
  heads: { collection: string; counter: number; rows: number; tag: string }
}

/** SQLite's dialect, only to compile queries. node:sqlite is synchronous, so a driver would only add waiting. */
const queries = new Kysely<Tables>({
  dialect: {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: database => new SqliteIntrospector(database),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  },
})

/** The text of a query with its parameters in exactly this order. Each is compiled once, since compiling costs more than running. */
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
    .addColumn('mac', 'blob', column => column.notNull().defaultTo(sql`x''`))
    .addPrimaryKeyConstraint('records_key', ['collection', 'id'])
    .modifyEnd(sql`strict, without rowid`),
  [],
)

/** Parameters: none. The sums over the records, see record-set.ts. */
export const createHeads = textOf(
  queries.schema
    .createTable('heads')
    .addColumn('collection', 'text', column => column.notNull().primaryKey())
    .addColumn('counter', 'integer', column => column.notNull())
    .addColumn('rows', 'integer', column => column.notNull())
    .addColumn('tag', 'text', column => column.notNull())
    .modifyEnd(sql`strict, without rowid`),
  [],
)

/** Parameters: none. */
export const selectHeads = textOf(queries.selectFrom('heads').selectAll(), [])

/** Parameters: collection, counter, rows, tag. */
export const upsertHead = textOf(
  queries
    .insertInto('heads')
    .values({
      collection: '@collection',
      counter: sql<number>`${'@counter'}`,
      rows: sql<number>`${'@rows'}`,
      tag: '@tag',
    })
    .onConflict(conflict =>
      conflict.column('collection').doUpdateSet(row => ({
        counter: row.ref('excluded.counter'),
        rows: row.ref('excluded.rows'),
        tag: row.ref('excluded.tag'),
      })),
    ),
  ['@collection', '@counter', '@rows', '@tag'],
)

/** Parameters: collection, id, limit. The records after it in the order of the table. */
export const selectAfter = textOf(
  queries
    .selectFrom('records')
    .select(['collection', 'id', 'version', 'value', 'mac'])
    .where(sql<boolean>`(collection, id) > (${'@collection'}, ${'@id'})`)
    .orderBy('collection')
    .orderBy('id')
    .limit(sql<number>`${'@limit'}`),
  ['@collection', '@id', '@limit'],
)

/**
 * Parameters: collection. The MACs of every collection before it (backwards) or behind it (forwards), without reading values. It begins
 * where a search for the collection itself ends.
 */
export function selectMacs(side: '<' | '>'): string {
  const order = side === '<' ? 'desc' : 'asc'
  const query = queries.selectFrom('records').select(['collection', 'id', 'mac'])
  return textOf(query.where('collection', side, '@collection').orderBy('collection', order).orderBy('id', order), [
    '@collection',
  ])
}

/** Parameters: collection, id. */
export const selectRecord = textOf(recordAt.select(['version', 'value', 'mac']), ['@collection', '@id'])

/** Parameters: collection, id. */
export const selectVersion = textOf(recordAt.select(['version', 'mac']), ['@collection', '@id'])

/** Parameters: collection, id, version, value, mac. */
export const upsertRecord = textOf(
  queries
    .insertInto('records')
    .values({
      collection: '@collection',
      id: '@id',
      version: sql<number>`${'@version'}`,
      value: '@value',
      mac: sql<Uint8Array>`${'@mac'}`,
    })
    .onConflict(conflict =>
      conflict.columns(['collection', 'id']).doUpdateSet(row => ({
        version: row.ref('excluded.version'),
        value: row.ref('excluded.value'),
        mac: row.ref('excluded.mac'),
      })),
    ),
  ['@collection', '@id', '@version', '@value', '@mac'],
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
    .select(['id', 'version', 'value', 'mac'])
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
