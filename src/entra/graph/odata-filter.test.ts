import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AzureError } from '../../http/errors.ts'
import { parseFilter, parseSearch } from './odata-filter.ts'

const ann = {
  displayName: "Ann O'Hara",
  accountEnabled: true,
  mail: null,
  names: ['a1', 'b2'],
  keys: [{ id: 'k' }],
  web: { redirectUris: ['https://a/'] },
}

describe('$filter', () => {
  it('compares, combines and looks into collections, without regard to case', () => {
    const cases: [string, boolean][] = [
      ['', true],
      ["displayName eq 'ANN O''HARA'", true],
      ["displayname ne 'Bob'", true],
      ["startswith(displayName,'ann')", true],
      ["startsWith(displayName, 'bob') eq true", false],
      ["endswith(displayName,'hara') and contains(displayName,'o''h')", true],
      ["names/any(n:n eq 'B2')", true],
      ["names/any(n:startswith(n,'c'))", false],
      ["keys/any(k:k/id eq 'k')", true],
      ["web/redirectUris/any(u:u eq 'https://a/')", true],
      ["displayName in ('x','Ann O''Hara')", true],
      ['accountEnabled eq true and mail eq null', true],
      ["not (displayName eq 'x') and (mail eq 'x' or accountEnabled eq true)", true],
      ["mail eq 'x' or mail eq 'y' and accountEnabled eq true", false],
    ]
    for (const [filter, expected] of cases) assert.equal(parseFilter(filter)(ann), expected, filter)
  })

  it('says what it can not read', () => {
    const unreadable = [
      'displayName',
      'displayName eq',
      "displayName like 'x'",
      "eq 'x'",
      "(displayName eq 'x'",
      "displayName eq 'x' extra",
      "names eq 'a1'",
      "nothing eq 'x'",
      "__proto__ eq 'x'",
      "displayName eq 'x",
      '('.repeat(5000),
      `${'not '.repeat(900)}accountEnabled eq true`,
      `displayName eq '${'x'.repeat(5000)}'`,
    ]
    for (const filter of unreadable) {
      const fails = (error: unknown) =>
        error instanceof AzureError && error.status === 400 && error.code === 'Request_UnsupportedQuery'
      assert.throws(() => parseFilter(filter)(ann), fails, filter.slice(0, 40))
    }
  })
})

describe('$search', () => {
  it('finds parts of names', () => {
    assert.equal(parseSearch('"displayName:hara"')(ann), true)
    assert.equal(parseSearch('"displayName:bob" OR "displayName:ANN"')(ann), true)
    assert.equal(parseSearch('"displayName:bob" AND "displayName:ANN"')(ann), false)
    assert.equal(parseSearch('"names:b2"')(ann), true)
    assert.throws(() => parseSearch('ann'), /terms like/)
  })
})
