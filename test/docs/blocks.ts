import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))

/** One fenced block of a page. */
export interface Block {
  readonly page: string
  /** 1-based, of the opening fence. */
  readonly line: number
  /** The language after the opening fence; '' and 'sh' are for the shell. */
  readonly language: string
  readonly text: string
}

/** A span of code in running text or a table. */
export interface Span {
  readonly page: string
  readonly line: number
  readonly text: string
}

export interface Page {
  readonly path: string
  readonly blocks: readonly Block[]
  readonly spans: readonly Span[]
  /** Lines that Markdown shows as code because they are indented. */
  readonly indented: readonly number[]
}

/** Every page for people: those of the root (without the changelog, which is about the past), docs, models and the examples. */
export async function readPages(): Promise<Page[]> {
  const entries = await Promise.all(
    ['.', 'docs', 'models', 'examples'].map(async folder => {
      const names = await readdir(join(root, folder), { recursive: folder !== '.' })
      return names.filter(name => name.endsWith('.md')).map(name => join(folder, name))
    }),
  )
  const paths = entries.flat().filter(path => path !== 'CHANGELOG.md')
  return Promise.all(paths.sort().map(async path => parsePage(path, await readFile(join(root, path), 'utf8'))))
}

/** Exported for its own test. */
export function parsePage(path: string, markdown: string): Page {
  const [blocks, spans, indented]: [Block[], Span[], number[]] = [[], [], []]
  const lines = markdown.split('\n')
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? ''
    const [, fence, language = ''] = /^\s*(```+|~~~+)\s*(\S*)/.exec(line) ?? []
    if (fence === undefined) {
      if (/^( {4}|\t)\S/.test(line) && (lines[at - 1] ?? '').trim() === '') indented.push(at + 1)
      for (const [, text = ''] of line.matchAll(/`([^`]+)`/g)) spans.push({ page: path, line: at + 1, text })
      continue
    }
    const end = lines.findIndex((other, index) => index > at && other.trim() === fence)
    if (end === -1) throw new Error(`${path}:${at + 1}: this fence is never closed`)
    blocks.push({ page: path, line: at + 1, language, text: lines.slice(at + 1, end).join('\n') })
    at = end
  }
  return { path, blocks, spans, indented }
}

export const isShell = (block: Block): boolean => ['', 'sh', 'bash', 'shell', 'console'].includes(block.language)

/** The commands of a shell block: one for each line, with the lines that a backslash joins; without comments and blank lines. */
export function commandsOf(block: Block): string[] {
  const joined = block.text.replaceAll('\\\n', '\\\0').split('\n')
  return joined.map(line => line.replaceAll('\0', '\n').trim()).filter(line => line !== '' && !line.startsWith('#'))
}

/** The file that a program is to be saved as: its first line names it in a comment. */
export function fileNameOf(block: Block): string | undefined {
  return /^(?:\/\/|#) (\w[\w.-]*\.\w+)$/m.exec(block.text.split('\n', 1)[0] ?? '')?.[1]
}
