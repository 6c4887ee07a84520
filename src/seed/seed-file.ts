import { readFile, stat } from 'node:fs/promises'
import { LineCounter, parseDocument, type Document } from 'yaml'
import { checkReferences } from './check-references.ts'
import { explain, problemsOf, type Problem } from './fields.ts'
import { linesOf, pathText, type Lines } from './lines.ts'
import { isFields } from './raw.ts'
import { seedFile, type SeedFile } from './seed-schema.ts'

const MAX_BYTES = 1024 * 1024

/** A seed file that is valid, as far as the file alone can tell. */
export interface Seed {
  readonly content: SeedFile
  readonly lines: Lines
}

/** Reads and checks a whole seed file, before anything is made. @throws with every problem on a line of its own: `file:line: field: what to do` */
export async function readSeedFile(
  file: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<Seed> {
  const found = await stat(file)
  // Node's own error does not name the folder.
  if (found.isDirectory()) throw new Error(`${file} is a folder where a file must be.`)
  const { size } = found
  if (size > MAX_BYTES) throw new Error(`${file} has ${size} bytes; a seed file has at most ${MAX_BYTES}.`)
  return parseSeed(file, await readFile(file, 'utf8'), environment)
}

export function parseSeed(file: string, text: string, environment: Readonly<Record<string, string | undefined>>): Seed {
  const counter = new LineCounter()
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false, logLevel: 'error' })
  const flaws = [...document.errors, ...document.warnings]
  if (flaws.length > 0)
    throw new Error(
      report(flaws.map(({ pos, message }) => `${file}:${counter.linePos(pos[0]).line}: not valid YAML: ${message}`)),
    )
  const lines = linesOf(file, document, counter)
  const raw = contentOf(file, document)
  if (!isFields(raw))
    throw new Error(report([`${file}:1: the file must have fields ('name: value' lines), for example subscriptions`]))
  const result = seedFile.safeParse(raw, { error: explain })
  const problems = [
    ...(result.success ? [] : problemsOf(result.error.issues)),
    ...checkReferences({ at: [], value: raw }, environment),
  ]
  if (result.success && problems.length === 0) return { content: result.data, lines }
  throw new Error(report(sorted(problems, lines).map(({ path, message }) => problemText(lines, { path, message }))))
}

/** @throws when aliases expand to too much, since that way a small file could fill the memory */
function contentOf(file: string, document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 }) ?? {}
  } catch (error) {
    throw new Error(report([`${file}:1: aliases ('*name') can't be followed: ${(error as Error).message}`]), {
      cause: error,
    })
  }
}

function sorted(problems: readonly Problem[], lines: Lines): Problem[] {
  return problems.toSorted((a, b) => lines.of(a.path) - lines.of(b.path))
}

/** `cloud.yaml:12: subscriptions[0].displayName: must be text` */
export function problemText(lines: Lines, { path, message }: Problem): string {
  return `${lines.file}:${lines.of(path)}: ${path.length === 0 ? '' : `${pathText(path)}: `}${message}`
}

function report(found: readonly string[]): string {
  const count = found.length === 1 ? 'There is a problem' : `There are ${found.length} problems`
  return `${count} with the seed file; nothing was made.\n${found.join('\n')}`
}
