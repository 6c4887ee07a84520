/** A seeded source of choices: the same seed gives the same requests (mulberry32; not for secrets). */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** From 0, below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  below(count: number): number {
    return Math.floor(this.next() * count)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T
  }
}

/** Text that parsers, databases, paths and encoders stumble over. */
const TEXTS: readonly string[] = [
  '',
  ' ',
  '.',
  '..',
  '../../root.key',
  '/',
  '\\',
  '\0',
  'a\0b',
  '\n',
  '\r\nx-injected: 1',
  '%',
  '%00',
  "' or 1=1 --",
  '"',
  '{}',
  '[]',
  'null',
  'undefined',
  'NaN',
  '-1',
  '0',
  '1e400',
  '9007199254740993',
  '__proto__',
  'constructor',
  'toString',
  '\uD800',
  '\uDC00x',
  '\uFEFF',
  '\u202Etxt',
  'é',
  '日本語',
  '😀'.repeat(70),
  'a'.repeat(64),
  'a'.repeat(65),
  'a'.repeat(300),
  'a'.repeat(3000),
  'file-',
  `file-${'0'.repeat(32)}`,
  `ftjob-${'f'.repeat(32)}`,
  '00000000-0000-0000-0000-000000000000',
  'https://169.254.169.254/',
  '<script>alert(1)</script>',
  '${7*7}',
]

export function strangeText(random: Random): string {
  if (random.chance(0.8)) return random.pick(TEXTS)
  return Array.from({ length: random.below(24) }, () =>
    String.fromCharCode(random.below(random.chance(0.8) ? 256 : 65_536)),
  ).join('')
}

export function strangeValue(random: Random, depth = 0): unknown {
  const kind = random.below(depth < 3 ? 12 : 9)
  if (kind < 4) return strangeText(random)
  if (kind < 6) return random.pick([0, -0, -1, 1, 0.5, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 63), 1e308, 128, 4096])
  if (kind === 6) return random.chance(0.5)
  if (kind === 7) return null
  if (kind === 8) return undefined
  const length = random.below(4)
  if (kind === 9) return Array.from({ length }, () => strangeValue(random, depth + 1))
  return Object.fromEntries(Array.from({ length }, () => [strangeText(random), strangeValue(random, depth + 1)]))
}

/** The same JSON with one member somewhere replaced, dropped, doubled or added. */
export function mutated(random: Random, value: unknown): unknown {
  const size = countOf(value)
  let left = random.below(size)
  const change = (one: unknown): unknown => {
    const kind = random.below(6)
    if (kind === 0 && Array.isArray(one)) return [...one, ...one, strangeValue(random)]
    if (kind === 1 && typeof one === 'object' && one !== null && !Array.isArray(one))
      return { ...one, [strangeText(random)]: strangeValue(random) }
    if (kind === 2) return undefined
    return strangeValue(random)
  }
  const walk = (one: unknown): unknown => {
    if (left-- === 0) return change(one)
    if (Array.isArray(one)) return one.map(walk)
    if (typeof one !== 'object' || one === null) return one
    return Object.fromEntries(Object.entries(one).map(([name, member]) => [name, walk(member)]))
  }
  return walk(value)
}

function countOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1
  return Object.values(value).reduce((sum: number, member) => sum + countOf(member), 1)
}
