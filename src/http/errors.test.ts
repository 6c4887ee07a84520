import assert from 'node:assert/strict'
import { test } from 'node:test'
import { foreignCode } from './error-codes.ts'
import { AzureError, NotFound, type ErrorDetail, type InnerError } from './errors.ts'

test('a code that is not in a list does not compile', () => {
  // @ts-expect-error: in no list
  assert.equal(new AzureError('NoSuchCode', 400, '').code, 'NoSuchCode')
  // @ts-expect-error: a text that is only known at run time is not a code either
  assert.equal(new NotFound(Buffer.from('KeyNotFound').toString(), '').status, 404)
  // @ts-expect-error: no requirement has this name
  const detail: ErrorDetail = { code: 'R08.NoSuchRequirement', message: '' }
  // @ts-expect-error: it goes through foreignCode
  const inner: InnerError = { code: 'SomeVaultsCode' }
  const said: InnerError = { code: foreignCode('SomeVaultsCode') }
  assert.deepEqual([detail.code, inner.code, said.code], ['R08.NoSuchRequirement', 'SomeVaultsCode', 'SomeVaultsCode'])
})
