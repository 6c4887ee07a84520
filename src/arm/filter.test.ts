import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AzureError } from '../http/errors.ts'
import { parseAlternatives, parseFilter } from './filter.ts'

const parse = (text: string) => parseFilter(text, 'x')

test('comparisons and calls are read, quotes doubled inside of values', () => {
  assert.deepEqual(parse("resourceType eq 'Microsoft.KeyVault/vaults' AND tagName ne 'it''s'"), [
    { type: 'compare', field: 'resourcetype', operator: 'eq', value: 'Microsoft.KeyVault/vaults' },
    { type: 'compare', field: 'tagname', operator: 'ne', value: "it's" },
  ])
  assert.deepEqual(parse("atScope() and assignedTo('a,)b') and substringof('x', name)"), [
    { type: 'call', name: 'atscope', arguments: [] },
    { type: 'call', name: 'assignedto', arguments: ['a,)b'] },
    { type: 'call', name: 'substringof', arguments: ['x', 'name'] },
  ])
  assert.deepEqual(parse('  '), [])
})

test('or parts alternatives, and binds less than and', () => {
  const fields = (text: string) =>
    parseAlternatives(text, 'x').map(terms => terms.map(term => (term.type === 'compare' ? term.value : term.name)))
  assert.deepEqual(fields("a eq '1' and b eq '2' or c eq 'or' OR f('x')"), [['1', '2'], ['or'], ['f']])
  assert.deepEqual(fields(''), [[]])
  for (const wrong of ["a eq '1' or", "or a eq '1'", "a eq '1' or or b eq '2'", 'or', "(a eq '1')"])
    assert.throws(() => fields(wrong), { code: 'InvalidFilterInQueryString' }, wrong)
})

test('a text that is not a filter is refused quickly', () => {
  const wrong = [
    `name eq '${'a'.repeat(2000)}`,
    "name eq 'a",
    'name eq a',
    "name eq 'a' or b eq 'c'",
    "a eq 'b' and ",
    '(',
    "f('",
    "f('a' 'b')",
    "'",
    '\0',
  ]
  for (const text of [...wrong, "a eq '" + "''".repeat(900), 'f(' + "'".repeat(2000)]) {
    assert.throws(
      () => parse(text),
      (error: unknown) => error instanceof AzureError && error.status === 400,
      text,
    )
  }
})
