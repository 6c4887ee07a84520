import { AzureError } from '../http/errors.ts'

/** One condition of an OData `$filter`: `name eq 'value'`, or a call such as `startswith(name, 'v')` or `atScope()`. */
export type FilterTerm =
  | { readonly type: 'compare'; readonly field: string; readonly operator: 'eq' | 'ne'; readonly value: string }
  | { readonly type: 'call'; readonly name: string; readonly arguments: readonly string[] }

const MAX_LENGTH = 2048
/** One token: a quoted text, a word or a mark. Sticky and without backtracking. */
const TOKEN = /\s*(?:'((?:[^']|'')*)'(?!')|([\w./-]{1,64})(?![\w./-])|([(),]))/y

type Token = { readonly text: string } | { readonly word: string } | { readonly mark: string }

/**
 * The conditions of a filter, all of which must hold (`and`); field and call names come in lower case.
 * Quotes inside of a value are doubled (OData 4.01, 5.1.1.11.1). @throws 400 InvalidFilterInQueryString
 */
export function parseFilter(filter: string | undefined, example: string): FilterTerm[] {
  const given = filter ?? ''
  if (given.length > MAX_LENGTH) throw invalidFilter(`it has more than ${MAX_LENGTH} characters`, example)
  const terms = termsOf(tokensOf(given) ?? [{ mark: 'unreadable' }])
  if (terms !== undefined) return terms
  throw invalidFilter(`'${given.slice(0, 80)}' is not understood`, example)
}

/**
 * The same, with `or` between conditions. `and` binds closer (OData 4.01, 5.1.1.16), so all conditions of one list must hold.
 * Without any condition there is one empty list, which always holds.
 */
export function parseAlternatives(filter: string | undefined, example: string): FilterTerm[][] {
  const given = filter ?? ''
  if (given.length > MAX_LENGTH) throw invalidFilter(`it has more than ${MAX_LENGTH} characters`, example)
  const parts = splitAtOr(tokensOf(given) ?? [{ mark: 'unreadable' }])
  const alternatives = parts.map(termsOf)
  const isWhole = parts.length === 1 || parts.every(part => part.length > 0)
  if (isWhole && alternatives.every(terms => terms !== undefined)) return alternatives
  throw invalidFilter(`'${given.slice(0, 80)}' is not understood`, example)
}

function splitAtOr(tokens: readonly Token[]): Token[][] {
  const parts: Token[][] = [[]]
  let depth = 0
  for (const token of tokens) {
    if ('mark' in token) depth += { '(': 1, ')': -1 }[token.mark] ?? 0
    if (depth === 0 && 'word' in token && token.word.toLowerCase() === 'or') parts.push([])
    else parts.at(-1)?.push(token)
  }
  return parts
}

function termsOf(tokens: readonly Token[]): FilterTerm[] | undefined {
  const terms: FilterTerm[] = []
  for (let at = 0; at < tokens.length; at += 1) {
    const found = termAt(tokens, at)
    if (found === undefined) return undefined
    terms.push(found.term)
    at = found.next
    const isLast = at === tokens.length
    if (!isLast && (wordAt(tokens, at)?.toLowerCase() !== 'and' || at + 1 === tokens.length)) return undefined
  }
  return terms
}

export function invalidFilter(why: string, example: string): AzureError {
  return new AzureError('InvalidFilterInQueryString', 400, `Invalid $filter: ${why}. Use for example: ${example}.`)
}

function tokensOf(text: string): Token[] | undefined {
  const tokens: Token[] = []
  const end = text.trimEnd().length
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < end) {
    const match = TOKEN.exec(text)
    if (match === null) return undefined
    const [, quoted, word, mark] = match
    if (quoted !== undefined) tokens.push({ text: quoted.replaceAll("''", "'") })
    else tokens.push(word === undefined ? { mark: mark ?? '' } : { word })
  }
  return tokens
}

function termAt(tokens: readonly Token[], at: number): { term: FilterTerm; next: number } | undefined {
  const field = wordAt(tokens, at)?.toLowerCase()
  if (field === undefined) return undefined
  if (markAt(tokens, at + 1) === '(') return callAt(tokens, at, field)
  const operator = wordAt(tokens, at + 1)?.toLowerCase()
  const value = tokens[at + 2]
  if ((operator !== 'eq' && operator !== 'ne') || value === undefined || !('text' in value)) return undefined
  return { term: { type: 'compare', field, operator, value: value.text }, next: at + 3 }
}

function callAt(tokens: readonly Token[], at: number, name: string): { term: FilterTerm; next: number } | undefined {
  const values: string[] = []
  let next = at + 2
  if (markAt(tokens, next) === ')') return { term: { type: 'call', name, arguments: values }, next: next + 1 }
  for (;;) {
    const value = tokens[next]
    if (value === undefined || 'mark' in value) return undefined
    values.push('text' in value ? value.text : value.word)
    const mark = markAt(tokens, next + 1)
    next += 2
    if (mark === ')') return { term: { type: 'call', name, arguments: values }, next }
    if (mark !== ',') return undefined
  }
}

function wordAt(tokens: readonly Token[], at: number): string | undefined {
  const token = tokens[at]
  return token !== undefined && 'word' in token ? token.word : undefined
}

function markAt(tokens: readonly Token[], at: number): string | undefined {
  const token = tokens[at]
  return token !== undefined && 'mark' in token ? token.mark : undefined
}
