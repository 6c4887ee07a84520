import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AzureError } from '../http/errors.ts'
import { refusalOf, storageTrouble, StorageRefused } from './storage-errors.ts'

test('a full disk and too many open files are refusals to be tried again, not failures', () => {
  const codes = { ENOSPC: 'full', EROFS: 'read-only', EIO: 'failing', EMFILE: 'out-of-files', ENFILE: 'out-of-files' }
  for (const [code, trouble] of Object.entries(codes)) {
    const error = Object.assign(new Error(`${code}: open '/a/path'`), { code })
    assert.equal(storageTrouble(error), trouble)
    assert.equal(storageTrouble(new Error('outer', { cause: error })), trouble)
    const refusal = refusalOf(error)
    assert.ok(refusal instanceof StorageRefused && refusal instanceof AzureError, code)
    assert.equal(refusal.status, code === 'ENOSPC' ? 507 : 503)
    assert.doesNotMatch(refusal.message, /path/)
  }
  assert.equal(storageTrouble(Object.assign(new Error('none'), { code: 'ENOENT' })), undefined)
})
