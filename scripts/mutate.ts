import { execFileSync, spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MUTATIONS, type Mutation } from './mutations.ts'

/**
 * Takes one check after another out of a copy of the code and runs the tests that must fail then; writes docs/mutations.md when each
 * does, except for those of which it is known why none can. Words behind `--only` play the mutations whose description or file contains
 * one of them; then nothing is written.
 */
const root = fileURLToPath(new URL('..', import.meta.url))
const args = process.argv.slice(2)
const only = args[0] === '--only' ? args.slice(1) : []
const wanted = MUTATIONS.filter(
  ({ without, file }) => only.length === 0 || only.some(word => without.includes(word) || file.includes(word)),
)
const LIMIT_SECONDS = 300

interface Outcome {
  /** Titles of the tests that failed. */
  readonly failed: readonly string[]
  readonly seconds: number
}

/** The files that git knows, as they are here; installed packages are shared. */
async function copyOfCode(): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'ownkey-mutate-'))
  const names = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], { cwd: root })
  for (const name of names.toString().split('\0').filter(Boolean)) {
    await mkdir(dirname(join(copy, name)), { recursive: true })
    await cp(join(root, name), join(copy, name)).catch(() => undefined)
  }
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'))
  return copy
}

/** Runs the tests of a mutation in the copy. A file that fails without a test of it (it does not load) counts as nothing. */
function run(copy: string, { test, title }: Mutation): Promise<Outcome> {
  const began = performance.now()
  const pattern = title === undefined ? [] : [`--test-name-pattern=${title}`]
  const child = spawn(
    process.execPath,
    ['--test', '--test-reporter=tap', `--test-timeout=${LIMIT_SECONDS * 1000}`, ...pattern, test],
    { cwd: copy, stdio: ['ignore', 'pipe', 'ignore'], detached: true },
  )
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  // What it started goes along.
  const timer = setTimeout(() => process.kill(-(child.pid ?? 0), 'SIGKILL'), LIMIT_SECONDS * 1000)
  return new Promise(resolve => {
    child.once('close', () => {
      clearTimeout(timer)
      const titles = [...output.matchAll(/^ *not ok \d+ - (.*)$/gm)].map(([, name = '']) => name.replaceAll('\\', ''))
      const failed = titles.filter(name => !name.endsWith('.test.ts'))
      resolve({ failed, seconds: (performance.now() - began) / 1000 })
    })
  })
}

async function mutated(copy: string, mutation: Mutation): Promise<Outcome> {
  const path = join(copy, mutation.file)
  const text = await readFile(path, 'utf8')
  if (text.split(mutation.text).length !== 2)
    throw new Error(`${mutation.file} does not hold it once: ${mutation.text}`)
  await writeFile(
    path,
    text.replace(mutation.text, () => mutation.replacement),
  )
  try {
    return await run(copy, mutation)
  } finally {
    await writeFile(path, text)
  }
}

interface Played {
  readonly mutation: Mutation
  readonly outcome: Outcome
}

const cell = (text: string): string => text.replaceAll('|', '\\|')
const place = (file: string): string => `[${file.slice('src/'.length)}](../${file})`

function page(all: readonly Played[]): string {
  const caught = all.filter(({ mutation }) => mutation.survives === undefined)
  const survivors = all.filter(({ mutation }) => mutation.survives !== undefined)
  return [
    '# What fails when a check is taken out',
    '',
    `Written by \`npm run mutate\` on ${new Date().toISOString().slice(0, 10)}. It takes one check of \`scripts/mutations\` after another out of a copy of the code, or moves a bound by one, and runs`,
    'the tests that must fail then; without a mutation all of them pass. Tests in `test/walls` check that each text which is taken out is still in its file.',
    '',
    NO_STRYKER,
    '',
    `## ${caught.length} that tests catch`,
    '',
    '| Without | in | what fails, of |',
    '|---|---|---|',
    ...caught.map(({ mutation: { without, file, test }, outcome: { failed } }) => {
      const more = failed.length > 1 ? ` (and ${failed.length - 1} more)` : ''
      return `| ${cell(without)} | ${place(file)} | ${cell(failed[0] ?? '')}${more}: [${test.split('/').at(-1)}](../${test}) |`
    }),
    '',
    `## ${survivors.length} that no test catches`,
    '',
    'None of them is a rule of the article.',
    '',
    '| Without | in | why nothing fails |',
    '|---|---|---|',
    ...survivors.map(
      ({ mutation: { without, file, survives = '' } }) => `| ${cell(without)} | ${place(file)} | ${cell(survives)} |`,
    ),
    '',
  ].join('\n')
}

const NO_STRYKER =
  'Stryker 10 installs and runs this code (told to leave `tsconfig.json` alone), and makes 8,414 mutations of crypto, encryption, store and the access to vaults: 1,447 of them took an hour with unit tests alone, it does not count what runs in another process as covered, and most survivors are bounds of no consequence, or are caught by tests of a whole service. So the mutations here are chosen by hand, including those that it found.'

/** Whether it went as it should: caught, or not caught where nothing can. */
const isRight = ({ mutation, outcome }: Played): boolean =>
  (outcome.failed.length === 0) === (mutation.survives !== undefined)

const copy = await copyOfCode()
const played: Played[] = []
try {
  const sets = new Map(wanted.map(mutation => [`${mutation.test} ${mutation.title ?? ''}`, mutation]))
  for (const mutation of sets.values()) {
    let { failed } = await run(copy, mutation)
    // A test that measures time may miss its bound beside something else.
    if (failed.length > 0) ({ failed } = await run(copy, mutation))
    if (failed.length > 0) throw new Error(`Without any mutation, ${mutation.test} fails: ${failed.join('; ')}`)
  }
  for (const mutation of wanted) {
    const outcome = await mutated(copy, mutation)
    played.push({ mutation, outcome })
    const verdict = isRight({ mutation, outcome }) ? 'ok ' : 'NOT'
    process.stdout.write(
      `${verdict} without ${mutation.without}: ${outcome.failed.length} failed, ${outcome.seconds.toFixed(1)} s\n`,
    )
  }
} finally {
  await rm(copy, { recursive: true, force: true })
}
const isAll = played.every(isRight)
if (isAll && only.length === 0) await writeFile(join(root, 'docs/mutations.md'), page(played))
process.exit(isAll ? 0 : 1)
