import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { patternsIn, productPatterns } from '../support/patterns-of.ts'
import { attacksOn } from './attacks.ts'

const SMALL = 4096
const LARGE = 65_536
/** Milliseconds. A linear pattern needs less than one for the largest input, a quadratic one needs seconds. */
const SLOW = { small: 3, large: 40 }

interface Listed {
  /** By file. These are timed. */
  readonly meets: Readonly<Record<string, readonly string[]>>
  /** Those that never get input from outside, and why. */
  readonly never: Readonly<Record<string, { readonly reason: string; readonly patterns: readonly string[] }>>
}
const listed = JSON.parse(await readFile(new URL('patterns.json', import.meta.url), 'utf8')) as Listed

function compiled(literal: string): RegExp {
  const end = literal.lastIndexOf('/')
  return new RegExp(literal.slice(1, end), literal.slice(end + 1))
}

/** Milliseconds of the most expensive use of a pattern: at every place of the text, unless it is anchored. */
function timeOf(pattern: RegExp, text: string): number {
  const began = performance.now()
  if (pattern.sticky) {
    pattern.lastIndex = 0
    while (pattern.exec(text) !== null);
  } else if (pattern.source.startsWith('^') && !pattern.flags.includes('g')) pattern.exec(text)
  else text.split(pattern)
  return performance.now() - began
}

const fastest = (pattern: RegExp, text: string): number => Math.min(...[1, 2, 3, 4, 5].map(() => timeOf(pattern, text)))

/** The three most expensive attacks on a pattern, as functions of their size. */
function worstAttacks(pattern: RegExp): number[] {
  const times = [...attacksOn(pattern.source, SMALL)].map((text, index) => ({ index, time: timeOf(pattern, text) }))
  return times
    .toSorted((a, b) => b.time - a.time)
    .slice(0, 3)
    .map(({ index }) => index)
}

/** Four times the size takes four times the time, or sixteen times if it is quadratic. One of three tries must show it. */
function growsTooFast(pattern: RegExp, quarter: string, large: string): boolean {
  return [1, 2, 3].every(() => fastest(pattern, large) / fastest(pattern, quarter) > 9)
}

function problemOf(pattern: RegExp): string | undefined {
  const indexes = worstAttacks(pattern)
  const of = (size: number): string[] => {
    const texts = [...attacksOn(pattern.source, size)]
    return indexes.map(index => texts[index] ?? '')
  }
  for (const [at, small] of of(SMALL).entries()) {
    const first = fastest(pattern, small)
    if (first > SLOW.small)
      return `takes ${first.toFixed(1)} ms for ${SMALL} letters: ${JSON.stringify(small.slice(0, 40))}`
    const [quarter = '', large = ''] = [of(LARGE / 4)[at], of(LARGE)[at]]
    const time = fastest(pattern, large)
    if (time > SLOW.large)
      return `takes ${time.toFixed(1)} ms for ${LARGE} letters: ${JSON.stringify(large.slice(0, 40))}`
    if (time > 5 && growsTooFast(pattern, quarter, large))
      return `takes more than linear time: ${JSON.stringify(large.slice(0, 40))}`
  }
  return undefined
}

test('every regular expression of the product is listed as one with input from outside, or with a reason why not', async () => {
  const known = Object.fromEntries([
    ...Object.entries(listed.meets),
    ...Object.entries(listed.never).map(([file, { patterns }]) => [file, patterns] as const),
  ])
  const found = Object.fromEntries(await productPatterns())
  const missing = Object.entries(found).flatMap(([file, patterns]) =>
    patterns.filter(pattern => !known[file]?.includes(pattern)).map(pattern => `${file}: ${pattern}`),
  )
  const gone = Object.entries(known).flatMap(([file, patterns]) =>
    patterns.filter(pattern => !found[file]?.includes(pattern)).map(pattern => `${file}: ${pattern}`),
  )
  assert.deepEqual(
    { missing, gone },
    { missing: [], gone: [] },
    'node scripts/list-patterns.ts lists them; say there if one never meets such input',
  )
  assert.ok(Object.values(listed.never).every(({ reason }) => reason.length > 10))
})

test('a pattern that meets input from outside takes linear time for the worst 64 KiB', () => {
  const problems: string[] = []
  for (const [file, patterns] of Object.entries(listed.meets))
    for (const literal of patterns) {
      const problem = literal === 'RegExp' ? 'is made from a string' : problemOf(compiled(literal))
      if (problem !== undefined) problems.push(`${file}: ${literal} ${problem}`)
    }
  assert.deepEqual(problems, [])
})

test('patterns that are known to be quadratic or worse are found', () => {
  const bad = ['/\\/+$/', '/^\\/+|\\/+$/g', '/[^/]+(?=\\/+metadata\\/+identity)/gi', '/\\s+$/', '/^(a+)+$/']
  const worse = [
    '/.*\\/providers\\/(\\w+)/',
    '/^https:\\/\\/([^./]+)[^/]*\\/keys\\//',
    '/^(\\w+\\s?)*$/',
    '/\\s+(AND|OR)\\s+/',
  ]
  for (const literal of [...bad, ...worse]) {
    const { source, flags } = compiled(literal)
    // The first slow one ends it, since some would take for ever.
    const isSlow = attacksOn(source, literal.startsWith('/^(') && literal.endsWith('$/') ? 23 : 8192).some(
      text => timeOf(new RegExp(source, flags), text) > 1 && fastest(new RegExp(source, flags), text) > SLOW.small,
    )
    assert.ok(isSlow, literal)
  }
})

test('regular expressions are told from divisions, comments, texts and templates', () => {
  const text =
    'const a = b / c / d; // /no/\n/* /no/ */ f("/no/", /yes/g); `${/inner/.test(`/no/${x / 2}`)} /no/`; return /e[/]nd/u'
  assert.deepEqual(patternsIn(text), ['/yes/g', '/inner/', '/e[/]nd/u'])
  assert.deepEqual(patternsIn('new RegExp(`^${word}$`)'), ['RegExp'])
})
