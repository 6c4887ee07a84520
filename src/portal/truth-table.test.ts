import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parseTruthTable, readTruthTable } from './truth-table.ts'

test('the measured table is read as headings, texts and tables, links as their words', () => {
  const blocks = parseTruthTable(
    '# Title\n\nOne `code`,\ntwo [words](page.md).\n\n| Cause | ms |\n|---|---|\n| policy | 3 |\n',
  )
  assert.deepEqual(blocks, [
    { type: 'heading', level: 1, text: 'Title' },
    { type: 'text', text: 'One `code`, two words.' },
    { type: 'table', columns: ['Cause', 'ms'], rows: [['policy', '3']] },
  ])
})

test('every row of every table in docs/truth-table.md has a cell for each column', async () => {
  const blocks = await readTruthTable(fileURLToPath(new URL('../../docs/truth-table.md', import.meta.url)))
  const tables = (blocks ?? []).filter(block => block.type === 'table')
  assert.ok(tables.length >= 4)
  for (const { columns, rows } of tables)
    for (const row of rows) assert.equal(row.length, columns.length, row.join(' | '))
})

test('an installation without its docs has no table', async () => {
  assert.equal(await readTruthTable('/nowhere/truth-table.md'), undefined)
})
