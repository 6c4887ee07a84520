import { z } from 'zod'

/** An object with these fields and no others. */
export function fields<Shape extends z.ZodRawShape>(shape: Shape) {
  const known = Object.keys(shape).join(', ')
  return z.strictObject(shape, { error: issue => (issue.code === 'unrecognized_keys' ? known : undefined) })
}

export function listOf<T extends z.ZodType>(item: T) {
  return z.array(item).max(1000).default([])
}

/** Text that matches, with a description for the message. */
export function text(pattern: RegExp, what: string) {
  return z.string().regex(pattern, `must be ${what}`)
}

/** One problem of a file, at a path of it. */
export interface Problem {
  readonly path: readonly (string | number)[]
  readonly message: string
}

const WORDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: "fields ('name: value' lines)",
  record: "fields ('name: value' lines)",
  array: "a list ('- ' lines)",
}

/** Zod's findings as messages that say what to do, one for each unknown field. */
export function problemsOf(issues: readonly z.core.$ZodIssue[]): Problem[] {
  return issues.flatMap((issue): Problem[] => {
    const path = issue.path.map(part => (typeof part === 'symbol' ? String(part) : part))
    if (issue.code !== 'unrecognized_keys') return [{ path, message: issue.message }]
    const known = issue.message.split(', ')
    return issue.keys.map(key => ({ path: [...path, key], message: unknownField(key, known) }))
  })
}

function unknownField(key: string, known: readonly string[]): string {
  const near = known.filter(name => distance(name.toLowerCase(), key.toLowerCase()) <= 2)
  const advice = near.length > 0 ? `did you mean ${near.join(' or ')}?` : `the fields are ${known.join(', ')}.`
  return `there is no such field here; ${advice}`
}

/** Messages where the schema has none of its own. */
export function explain(issue: z.core.$ZodRawIssue): string | undefined {
  const { code, input } = issue
  if (code === 'invalid_type') {
    const wanted = WORDS[issue.expected] ?? issue.expected
    if (input === undefined || input === null) return `is missing: give ${wanted}`
    const quotes = issue.expected === 'string' && typeof input !== 'object' ? '; put it in quotes' : ''
    return `must be ${wanted}, not ${described(input)}${quotes}`
  }
  if (code === 'invalid_value') {
    const values = issue.values.map(String).join(', ')
    return input === undefined
      ? `is missing: give one of ${values}`
      : `must be one of ${values}, not ${described(input)}`
  }
  if (code === 'too_big' || code === 'too_small') {
    const [bound, limit] = code === 'too_big' ? ['at most', issue.maximum] : ['at least', issue.minimum]
    const unit = issue.origin === 'string' ? ' characters' : issue.origin === 'array' ? ' entries' : ''
    return `must ${unit === '' ? 'be' : 'have'} ${bound} ${limit}${unit}`
  }
  return undefined
}

function described(input: unknown): string {
  if (Array.isArray(input)) return 'a list'
  if (typeof input === 'object') return 'fields'
  return typeof input === 'string' ? `'${input.slice(0, 64)}'` : JSON.stringify(input)
}

/** Letters to change, add or remove (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (const [i, letter] of a.split('').entries()) {
    const next = [i + 1]
    for (const [j, other] of b.split('').entries())
      next.push(Math.min((next[j] ?? 0) + 1, (row[j + 1] ?? 0) + 1, (row[j] ?? 0) + (letter === other ? 0 : 1)))
    row = next
  }
  return row.at(-1) ?? 0
}
