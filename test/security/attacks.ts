/** Characters that patterns treat specially, whether they name them or not. */
const LETTERS = 'aA0/-.\' "\\:=%@_,;([{\n\r\t\0\u00e9\u3000'.split('')
const ENDS = ['', '\u0001']
const MOST_PREFIXES = 24

/** What one atom of a pattern matches at least; quantifiers and group marks match nothing. */
const SAMPLES: readonly [atom: RegExp, sample: (atom: string) => string][] = [
  [/^\((?:\?(?:[:=!]|<[=!]))?/, () => ''],
  [/^\[(\^?)((?:\\.|[^\]\\])+)\]/, sampleOfClass],
  [/^\\p\{\w+\}/, () => 'a'],
  [/^\\u[0-9a-f]{4}/i, atom => String.fromCharCode(Number.parseInt(atom.slice(2), 16))],
  [/^\\./, sampleOfEscape],
  [/^[)^$|*+?]|^\{\d*,?\d*\}/, () => ''],
  [/^./, atom => (atom === '.' ? 'a' : atom)],
]

function sampleOfEscape(atom: string): string {
  const known: Readonly<Record<string, string>> = { w: 'a', d: '0', s: ' ', S: 'a', b: '', n: '\n', r: '\r', t: '\t' }
  return known[atom[1] ?? ''] ?? atom.slice(1)
}

function sampleOfClass(atom: string): string {
  const candidates = 'a0-./ '.split('')
  const one = new RegExp(`^${atom}$`, 'u')
  try {
    return candidates.find(candidate => one.test(candidate)) ?? 'a'
  } catch {
    return 'a'
  }
}

/** A text that matches a pattern's atoms for as long as possible. */
function atomsOf(source: string): string[] {
  const samples: string[] = []
  for (let rest = source; rest !== '';) {
    const [found, sample] = SAMPLES.map(([atom, of]) => [atom.exec(rest)?.[0] ?? '', of] as const).find(
      ([text]) => text !== '',
    ) ?? [rest[0] ?? '', (): string => '']
    samples.push(sample(found))
    rest = rest.slice(found.length)
  }
  return samples.filter(sample => sample !== '')
}

/** Texts of about `size` letters that cost a pattern the most if it is not linear: repeated letters and near misses. */
export function* attacksOn(source: string, size: number): Generator<string> {
  const atoms = atomsOf(source)
  const text = atoms.join('')
  const words = [text, text.slice(0, -1), ...text.split(/[^\w]+/)].filter(word => word.length > 1)
  const pairs = atoms.slice(1).map((atom, at) => `${atoms[at]}${atom}`)
  const pumps = new Set([...LETTERS, ...atoms, ...pairs, ...words])
  const lengths = [...atoms.keys()].slice(0, MOST_PREFIXES)
  const prefixes = new Set(['', '\u0001', text, ...lengths.map(length => atoms.slice(0, length).join(''))])
  for (const prefix of prefixes)
    for (const pump of pumps)
      for (const end of ENDS) yield `${prefix}${pump.repeat(Math.ceil(size / pump.length))}${end}`
}
