import { readFile, writeFile } from 'node:fs/promises'
import { productPatterns } from '../test/support/patterns-of.ts'

/** Lists every regular expression of the product as one with input from outside, except those that are listed under `never`. */
const file = new URL('../test/security/patterns.json', import.meta.url)
const { never } = JSON.parse(await readFile(file, 'utf8')) as { never: Record<string, { patterns: string[] }> }
const found = [...(await productPatterns())].toSorted(([a], [b]) => (a < b ? -1 : 1))
const meets = found
  .map(([path, all]) => [path, all.filter(pattern => !never[path]?.patterns.includes(pattern))] as const)
  .filter(([, patterns]) => patterns.length > 0)
await writeFile(file, `${JSON.stringify({ meets: Object.fromEntries(meets), never }, null, 2)}\n`)
