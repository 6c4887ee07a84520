import { readFile } from 'node:fs/promises'

/** A part of the page, in its order. Texts may hold `code` in backticks; links are their words alone. */
export type TruthBlock =
  | { readonly type: 'heading'; readonly level: number; readonly text: string }
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'table'; readonly columns: readonly string[]; readonly rows: readonly (readonly string[])[] }

/** What `npm run truth` wrote; undefined where an installation came without its docs. */
export async function readTruthTable(file: string): Promise<TruthBlock[] | undefined> {
  const markdown = await readFile(file, 'utf8').catch(() => undefined)
  return markdown === undefined ? undefined : parseTruthTable(markdown)
}

/** The few forms of Markdown that the page is written in: headings, paragraphs, tables. */
export function parseTruthTable(markdown: string): TruthBlock[] {
  const parts = markdown.split(/\n\s*\n/).map(part => part.trim())
  return parts.filter(part => part !== '').map(blockOf)
}

function blockOf(part: string): TruthBlock {
  const heading = /^(#+) (.*)$/.exec(part)
  if (heading !== null) return { type: 'heading', level: heading[1]?.length ?? 1, text: plain(heading[2] ?? '') }
  if (!part.startsWith('|')) return { type: 'text', text: plain(part.replaceAll('\n', ' ')) }
  const [columns = [], , ...rows] = part.split('\n').map(cellsOf)
  return { type: 'table', columns, rows }
}

const cellsOf = (line: string): string[] => line.split('|').slice(1, -1).map(plain)

const plain = (text: string): string => text.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').trim()
