import { AzureError } from '../../http/errors.ts'

/** Reads what a filter names: a property or a path like `web/redirectUris`, in any letter case. */
type Scope = (path: string) => unknown
type Test = (scope: Scope) => boolean
export type Matches = (object: object) => boolean

const LONGEST = 4096
const DEEPEST = 20

/**
 * The part of OData's `$filter` that az, the SDKs and portals send: eq, ne, in, startswith, endswith, contains, `x/any(v:v eq '…')`,
 * and, or, not, parentheses. Texts compare without regard to case, as Graph does. @throws 400 Request_UnsupportedQuery
 */
export function parseFilter(filter: string): Matches {
  if (filter.trim() === '') return () => true
  const parser = new Parser(tokensOf(filter))
  const test = parser.expression(0)
  parser.end()
  return object => test(path => read(object, path))
}

/** `$search="displayName:ann" OR "mail:ann"`: contains, in any letter case. @throws 400 Request_UnsupportedQuery */
export function parseSearch(search: string): Matches {
  if (search.trim() === '') return () => true
  const parts = search.slice(0, LONGEST).split(/\s(AND|OR)\s+/)
  const terms = parts.filter((_, index) => index % 2 === 0).map(term)
  const isAll = !parts.includes('OR')
  if (!isAll && parts.includes('AND')) throw unsupported('$search takes AND or OR, not both.')
  return object => (isAll ? terms.every(matches => matches(object)) : terms.some(matches => matches(object)))
}

function term(text: string): Matches {
  const [, path, value] = /^"(\w+):((?:[^"\\]|\\.)*)"$/.exec(text.trim()) ?? []
  if (path === undefined || value === undefined) throw unsupported('$search takes terms like "displayName:ann".')
  const wanted = value.replace(/\\(.)/g, '$1').toLowerCase()
  return object =>
    [read(object, path)].flat().some(own => typeof own === 'string' && own.toLowerCase().includes(wanted))
}

interface Token {
  readonly kind: 'text' | 'word' | 'mark'
  readonly value: string
}

/** Quotes inside of a text are doubled (OData 4.01 URL conventions 5.1.1.14.1). */
function tokensOf(filter: string): Token[] {
  if (filter.length > LONGEST) throw unsupported(`$filter has more than ${LONGEST} characters.`)
  const tokens: Token[] = []
  const pattern = /\s*(?:'((?:[^']|'')*)'|([\w.\-/@+]+)|([(),:]))/y
  while (filter.slice(pattern.lastIndex).trim() !== '') {
    const at = pattern.lastIndex
    const match = pattern.exec(filter)
    if (match === null) throw unsupported(`$filter can't be read from '${filter.slice(at, at + 40)}' on.`)
    const [, text, word, mark] = match
    if (text !== undefined) tokens.push({ kind: 'text', value: text.replaceAll("''", "'") })
    else if (word !== undefined) tokens.push({ kind: 'word', value: word })
    else tokens.push({ kind: 'mark', value: mark ?? '' })
  }
  return tokens
}

const functions: Readonly<Record<string, (own: string, wanted: string) => boolean>> = {
  startswith: (own, wanted) => own.startsWith(wanted),
  endswith: (own, wanted) => own.endsWith(wanted),
  contains: (own, wanted) => own.includes(wanted),
}

class Parser {
  readonly #tokens: readonly Token[]
  #at = 0

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  end(): void {
    const left = this.#tokens[this.#at]
    if (left !== undefined) throw unsupported(`$filter has something after its end: '${left.value.slice(0, 40)}'.`)
  }

  /** `or` binds less than `and`. */
  expression(depth: number): Test {
    if (depth > DEEPEST) throw unsupported('$filter is nested too deeply.')
    const either = [this.#both(depth)]
    while (this.#takeWord('or')) either.push(this.#both(depth))
    return scope => either.some(test => test(scope))
  }

  #both(depth: number): Test {
    const all = [this.#one(depth)]
    while (this.#takeWord('and')) all.push(this.#one(depth))
    return scope => all.every(test => test(scope))
  }

  #one(depth: number): Test {
    if (depth > DEEPEST) throw unsupported('$filter is nested too deeply.')
    if (this.#takeWord('not')) {
      const test = this.#one(depth + 1)
      return scope => !test(scope)
    }
    if (this.#takeMark('(')) {
      const test = this.expression(depth + 1)
      this.#expect(')')
      return test
    }
    const name = this.#word()
    const check = functions[name.toLowerCase()]
    if (check !== undefined) return this.#function(check)
    if (name.toLowerCase().endsWith('/any')) return this.#any(name.slice(0, -'/any'.length), depth)
    return this.#comparison(name)
  }

  #function(check: (own: string, wanted: string) => boolean): Test {
    this.#expect('(')
    const path = this.#word()
    this.#expect(',')
    const wanted = String(this.#literal()).toLowerCase()
    this.#expect(')')
    if (this.#takeWord('eq')) this.#literal()
    return scope => {
      const own = scope(path)
      return typeof own === 'string' && check(own.toLowerCase(), wanted)
    }
  }

  #any(path: string, depth: number): Test {
    this.#expect('(')
    const variable = this.#word()
    this.#expect(':')
    const test = this.expression(depth + 1)
    this.#expect(')')
    return scope => {
      const items = [scope(path) ?? []].flat()
      return items.some(item => test(inner => valueOf(item, variable, inner, scope)))
    }
  }

  #comparison(path: string): Test {
    const operator = this.#word().toLowerCase()
    if (operator === 'in') {
      this.#expect('(')
      const wanted = [this.#literal()]
      while (this.#takeMark(',')) wanted.push(this.#literal())
      this.#expect(')')
      return scope => wanted.some(value => equal(scope(path), value))
    }
    if (operator !== 'eq' && operator !== 'ne')
      throw unsupported(`$filter does not know the operator '${operator.slice(0, 40)}'.`)
    const wanted = this.#literal()
    return scope => equal(scope(path), wanted) === (operator === 'eq')
  }

  #literal(): unknown {
    const token = this.#tokens[this.#at++]
    if (token === undefined || token.kind === 'mark') throw unsupported('$filter lacks a value.')
    if (token.kind === 'text') return token.value
    const words: Record<string, unknown> = { true: true, false: false, null: null }
    return Object.hasOwn(words, token.value) ? words[token.value] : token.value
  }

  #word(): string {
    const token = this.#tokens[this.#at++]
    if (token?.kind !== 'word')
      throw unsupported(
        `$filter lacks a name${token === undefined ? ' at its end' : ` before '${token.value.slice(0, 40)}'`}.`,
      )
    return token.value
  }

  #takeWord(word: string): boolean {
    const token = this.#tokens[this.#at]
    const found = token?.kind === 'word' && token.value.toLowerCase() === word
    if (found) this.#at++
    return found
  }

  #takeMark(mark: string): boolean {
    const token = this.#tokens[this.#at]
    const found = token?.kind === 'mark' && token.value === mark
    if (found) this.#at++
    return found
  }

  #expect(mark: string): void {
    if (!this.#takeMark(mark)) throw unsupported(`$filter lacks a '${mark}'.`)
  }
}

function valueOf(item: unknown, variable: string, path: string, outer: Scope): unknown {
  if (path === variable) return item
  if (!path.startsWith(`${variable}/`)) return outer(path)
  return typeof item === 'object' && item !== null ? read(item, path.slice(variable.length + 1)) : undefined
}

/** @throws 400 for a property that does not exist */
function read(object: object, path: string): unknown {
  let value: unknown = object
  for (const name of path.toLowerCase().split('/')) {
    if (typeof value !== 'object' || value === null) return undefined
    const found = Object.entries(value).find(([key]) => key.toLowerCase() === name)
    if (found === undefined) throw unsupported(`Could not find a property named '${path.slice(0, 80)}'.`)
    value = found[1]
  }
  return value
}

function equal(own: unknown, wanted: unknown): boolean {
  if (Array.isArray(own)) throw unsupported('a collection is asked with any: servicePrincipalNames/any(n:n eq …).')
  if (typeof own === 'string' && typeof wanted === 'string') return own.toLowerCase() === wanted.toLowerCase()
  return (own ?? null) === wanted
}

function unsupported(message: string): AzureError {
  return new AzureError('Request_UnsupportedQuery', 400, `Unsupported query: ${message}`)
}
