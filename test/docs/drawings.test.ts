import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { JOB_MOVES } from '../../src/openai/job-states.ts'
import { MAY_IMPORT } from '../walls/may-import.ts'
import { readPages, root, type Block } from './blocks.ts'

const PAGES = ['docs/architecture.md', 'docs/states.md']
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const blocks = (await readPages()).filter(({ path }) => PAGES.includes(path)).flatMap(page => page.blocks)
const drawings = blocks.filter(({ language }) => language === 'mermaid')
const sequences = drawings.filter(({ text }) => text.includes('sequenceDiagram'))

/** The source files that a line of a drawing names without `src/`, as paths from the root. */
const sourcesIn = (line: string): string[] =>
  Array.from(line.matchAll(/[a-z\d-]+\/[a-z\d.-]+\.ts/g), ([path]) => `src/${path}`)

const matches = (path: string, pattern: string): boolean =>
  existsSync(join(root, path)) && new RegExp(pattern).test(read(path))
/** Whether a file has something of this name, or a function; the `#` of a private one may be left out. */
const has = (path: string, name: string): boolean => matches(path, `\\b${name}\\b`)
const hasFunction = (path: string, name: string): boolean => matches(path, `\\b${name}(?:<[^>]*>)?(?:\\(|: | = )`)

interface Link {
  readonly page: string
  readonly text: string
  readonly target: string
}

const links: readonly Link[] = PAGES.flatMap(page =>
  Array.from(read(page).matchAll(/\[([^\]]*)\]\(([^)#]+)(?:#[^)]*)?\)/g), ([, text = '', target = '']) => ({
    page,
    text,
    target: join('docs', target),
  })),
)

test('every file that the architecture and the states name is there', () => {
  const named = [
    ...links.map(({ target }) => target),
    ...PAGES.flatMap(page => Array.from(read(page).matchAll(/(?:src|test)\/[\w./-]*\w/g), ([path]) => path)),
    ...drawings.flatMap(({ text }) => sourcesIn(text)),
  ]
  assert.ok(named.length > 100, `${named.length} were found`)
  assert.deepEqual(
    named.filter(path => !existsSync(join(root, path))),
    [],
  )
})

test('a name with a link to a source file is in that file', () => {
  const named = links.flatMap(({ page, text, target }) => {
    const name = /^`(?:\w+\.)?#?(\w+)`$/.exec(text)?.[1]
    return name === undefined ? [] : [{ page, text, target, isThere: has(target, name) }]
  })
  assert.ok(named.length > 50, `${named.length} were found`)
  assert.deepEqual(
    named.filter(({ isThere }) => !isThere).map(({ page, text, target }) => `${page}: ${text} is not in ${target}`),
    [],
  )
})

/** The files of each participant, by its letter. */
function participantsOf({ text }: Block): Map<string, string[]> {
  const lines = text.matchAll(/^ *participant (\w+) as (.+)$/gm)
  return new Map(Array.from(lines, ([, letter = '', label = '']) => [letter, sourcesIn(label)]))
}

test('a function in a walk is in a file of the arrow`s target, or in one that the step names', () => {
  const steps = sequences.flatMap(block => {
    const participants = participantsOf(block)
    return Array.from(block.text.matchAll(/^ *\w+--?>>(\w+): (.+)$/gm), ([, to = '', said = '']) => ({
      said,
      files: [...(participants.get(to) ?? []), ...sourcesIn(said)],
      names: Array.from(said.matchAll(/(\w+)\(\)/g), ([, name = '']) => name),
    }))
  })
  assert.ok(steps.filter(({ names }) => names.length > 0).length > 40)
  assert.deepEqual(
    steps.flatMap(({ said, files, names }) =>
      names.filter(name => !files.some(file => hasFunction(file, name))).map(name => `${name}() of: ${said}`),
    ),
    [],
  )
})

test('a function at an arrow of a state is in a source file that the page links', () => {
  const sources = links.filter(({ page, target }) => page === 'docs/states.md' && target.endsWith('.ts'))
  const labels = drawings
    .filter(({ text }) => text.startsWith('stateDiagram'))
    .flatMap(({ text }) => Array.from(text.matchAll(/--> \w+: (.+)$/gm), ([, label = '']) => label.split(', ')).flat())
  const functions = labels.filter(label => !label.includes(' '))
  assert.ok(functions.length > 30, `${functions.length} were found`)
  assert.deepEqual(
    functions.filter(name => !sources.some(({ target }) => hasFunction(target, name))),
    [],
  )
})

test('the drawing of the job has the moves that a job can make, except those from a state to itself', () => {
  const [drawing] = drawings.filter(({ text }) => text.includes('pending --> running'))
  const inside = /"not ended" as open \{(?<states>[^}]*)\}/.exec(drawing?.text ?? '')?.groups?.['states'] ?? ''
  const open = [...new Set(Array.from(inside.matchAll(/(\w+) -->/g), ([, from = '']) => from))]
  const arrows = Array.from((drawing?.text ?? '').matchAll(/^ *(\w+) --> (\w+)/gm), ([, from = '', to = '']) =>
    (from === 'open' ? open : [from]).map(one => `${one} to ${to}`),
  ).flat()
  const moves = Object.entries(JOB_MOVES).flatMap(([from, tos]) =>
    tos.filter(to => to !== from).map(to => `${from} to ${to}`),
  )
  assert.deepEqual(arrows.toSorted(), moves.toSorted())
})

/** Everything that can be reached from each module by one or several imports. */
function reachable(imports: Readonly<Record<string, readonly string[]>>): Record<string, string[]> {
  const reach = (from: string, found = new Set<string>()): Set<string> => {
    for (const to of imports[from] ?? [])
      if (!found.has(to)) {
        found.add(to)
        reach(to, found)
      }
    return found
  }
  return Object.fromEntries(Object.keys(imports).map(module => [module, [...reach(module)].toSorted()]))
}

test('the drawing of the modules shows exactly what the walls allow', () => {
  const { '.': _, ...modules } = MAY_IMPORT
  const [drawing] = drawings.filter(({ text }) => text.startsWith('flowchart'))
  const arrows = Array.from((drawing?.text ?? '').matchAll(/^ *(\w+) --> (.+)$/gm), ([, from = '', to = '']) =>
    to.split(' & ').map(one => [from, one] as const),
  ).flat()
  assert.deepEqual(
    arrows.filter(([from, to]) => modules[from]?.includes(to) !== true),
    [],
  )
  const drawn = Object.keys(modules).map(module => [
    module,
    arrows.flatMap(([from, to]) => (from === module ? to : [])),
  ])
  assert.deepEqual(reachable(Object.fromEntries(drawn)), reachable(modules))
  assert.match(drawing?.text ?? '', /^ *commands -\.->\|start\.ts alone\| cloud$/m)
})

test('every module has its line in the table of the architecture', () => {
  const listed = Array.from(read('docs/architecture.md').matchAll(/^\| `(\w+)` \| \S/gm), ([, name = '']) => name)
  assert.deepEqual(
    listed.toSorted(),
    Object.keys(MAY_IMPORT)
      .filter(name => name !== '.')
      .toSorted(),
  )
})
