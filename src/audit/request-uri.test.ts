import assert from 'node:assert/strict'
import { test } from 'node:test'
import { requestUri } from './request-uri.ts'

const at = (query: string): string => requestUri(`https://a.localhost:1/openai/files?${query}`).split('?')[1] ?? ''

test('an address in a record keeps the query values that tell operations apart, and no others', () => {
  assert.equal(
    at('api-version=2024-10-21&purpose=fine-tune&%24top=5'),
    'api-version=2024-10-21&purpose=fine-tune&%24top=5',
  )
  assert.equal(
    at('api-version=2024-10-21&api-key=0a1b&code=x'),
    'api-version=2024-10-21&api-key=REDACTED&code=REDACTED',
  )
  assert.equal(at('API-KEY=0a1b'), 'API-KEY=REDACTED')
  assert.equal(at('sig=a=b==&limit=1=2'), 'sig=REDACTED&limit=REDACTED')
})

test('a secret that stands where a name belongs is not kept either', () => {
  assert.equal(at('0a1b2c3d4e5f'), 'REDACTED')
  assert.equal(at('0a1b2c3d4e5f='), 'REDACTED')
  assert.equal(at('sk-12345=1'), 'REDACTED')
})

test('an address without a query stays as it is, up to 2,048 characters', () => {
  assert.equal(requestUri('https://a.localhost/x'), 'https://a.localhost/x')
  assert.equal(requestUri(`https://a.localhost/${'x'.repeat(3000)}`).length, 2048)
})
