import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { commandsOf, fileNameOf, isShell, parsePage, readPages, root, type Span } from './blocks.ts'
import { EXCUSED, excuseFor, PRINTS, STATUS } from './excused.ts'

const pages = await readPages()
const blocks = pages.flatMap(page => page.blocks)
const commands = blocks.filter(isShell).flatMap(block => commandsOf(block).map(command => ({ block, command })))

test('a block that is not a command is a file that commands of its page use, or is excused', () => {
  const open = blocks.filter(block => {
    if (isShell(block) || excuseFor(block, block.text) !== undefined) return false
    const name = fileNameOf(block)
    return (
      name === undefined ||
      !commands.some(({ block: { page }, command }) => page === block.page && command.includes(name))
    )
  })
  assert.deepEqual(
    open.map(({ page, line, text }) => `${page}:${line}: ${text.split('\n')[0]}`),
    [],
    'name its file in a comment on its first line and run it, or say why not in test/docs/excused.ts',
  )
})

test('every entry of the tables still matches something, and has its reason', () => {
  const isUsed = (page: string, begins: string): boolean =>
    blocks.some(block => block.page === page && block.text.startsWith(begins)) ||
    commands.some(({ block, command }) => block.page === page && command.startsWith(begins)) ||
    pages.some(({ path, spans }) => path === page && spans.some(({ text }) => text.startsWith(begins)))
  assert.deepEqual(
    [...EXCUSED, ...PRINTS].filter(({ page, begins }) => !isUsed(page, begins)),
    [],
  )
  assert.deepEqual(
    STATUS.filter(({ begins }) => !commands.some(({ command }) => command.startsWith(begins))),
    [],
  )
  for (const { why } of [...EXCUSED, ...STATUS]) assert.match(why, /^\S.{10,}/)
})

test('no page hides a command in an indented block', () => {
  assert.deepEqual(
    pages.flatMap(({ path, indented }) => indented.map(line => `${path}:${line}`)),
    [],
  )
})

test('blocks, commands over several lines, files and spans are found as Markdown has them', () => {
  const {
    blocks: [first, second],
    spans,
    indented,
  } = parsePage(
    'a.md',
    'Say `ls`:\n```\nls \\\n  -l   # all\n# nothing\n\nls\n```\n\n    hidden\n\n~~~ts\n// app.ts\n~~~',
  )
  assert.deepEqual(first && commandsOf(first), ['ls \\\n  -l   # all', 'ls'])
  assert.equal(second && fileNameOf(second), 'app.ts')
  assert.deepEqual([spans, indented], [[{ page: 'a.md', line: 1, text: 'ls' }], [10]])
})

const script = (name: string): boolean =>
  name in (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: object }).scripts

/** The commands and options of `./ownkey`. */
function helpTexts(): string {
  const help = (...words: string[]): string =>
    spawnSync(process.execPath, [join(root, 'src/cli.ts'), 'help', ...words], { encoding: 'utf8' }).stdout
  const all = help()
  const names = new Set(Array.from(all.matchAll(/^\s+([a-z][a-z-]+)\s/gm), ([, name = '']) => name))
  return [all, ...[...names].map(name => help(name))].join('\n')
}

/** What is wrong with a command in running text, which is not run; undefined where nothing is. */
function wrongWith(text: string, help: string): string | undefined {
  const [program = '', ...words] = text.split(/\s+/)
  if (program === 'npm' && words[0] === 'run' && !script(words[1] ?? '')) return 'no such script'
  const missing = words.find(
    word => /^[\w./-]+\/[\w.-]+\.(ts|mjs|py|yaml|jsonl)$/.test(word) && !existsSync(join(root, word)),
  )
  if (missing !== undefined) return `there is no ${missing}`
  if (/^(nice )?node .*\.ts\b/.test(text)) return "the system's Node may not read TypeScript: ./ownkey run"
  if (program !== './ownkey') return undefined
  const name = words[0] ?? ''
  if (name !== '' && !new RegExp(`^\\s+${name}\\b`, 'm').test(help)) return 'no such command'
  return words.find(word => word.startsWith('--') && !help.includes(word.split('=')[0] ?? word))
}

test('commands in running text and tables name commands, options, scripts and files that are there', () => {
  const help = helpTexts()
  const found = (span: Span): string[] => {
    const wrong = excuseFor({ ...span, language: '' }, span.text) === undefined ? wrongWith(span.text, help) : undefined
    return wrong === undefined ? [] : [`${span.page}:${span.line}: ${span.text}: ${wrong}`]
  }
  assert.deepEqual(
    pages.flatMap(({ spans }) => spans.flatMap(found)),
    [],
  )
})
