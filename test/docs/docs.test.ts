import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { AZ, noAz } from '../support/az-session.ts'
import { type Block, fileNameOf, readPages, root } from './blocks.ts'
import { commandsToRun, PRINTS, STATUS } from './excused.ts'
import { copyCheckout, type Outcome, Terminal } from './terminal.ts'

const pages = await readPages()

/** As a reader's: the machine's own node first, and a home that is nobody's. Of this test there is the folder of Python's packages. */
function readersEnvironment(home: string): NodeJS.ProcessEnv {
  const own = [join(root, '.venv/bin'), ...(AZ.includes('/') ? [dirname(AZ)] : [])]
  const path = (process.env['PATH'] ?? '').split(':').filter(folder => !folder.includes('node_modules'))
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(npm_|NODE_|AZURE_|OWNKEY_|SSL_CERT|REQUESTS_CA)/.test(name),
  )
  return { ...Object.fromEntries(kept), PATH: [...own, ...path].join(':'), HOME: home }
}

const found = (program: string, ...args: string[]): boolean =>
  spawnSync(program, args, { env: readersEnvironment('/') }).status === 0

/** Programs that commands need, and what to do where they are missing. */
const NEEDS: readonly { readonly command: RegExp; readonly lacking: string | false }[] = [
  { command: /\baz (?:keyvault|login)|env --format az/, lacking: noAz },
  {
    command: /^keytool /,
    lacking: !found('keytool', '-help') && 'needs keytool: apt-get install default-jre-headless',
  },
  {
    command: /python3 app\.py/,
    lacking:
      !found('python3', '-c', 'import openai, azure.identity, azure.keyvault.keys, azure.mgmt.cognitiveservices') &&
      'needs Python packages: pip install openai azure-identity azure-keyvault-keys azure-mgmt-cognitiveservices',
  },
  {
    command: /open_sealed_blob\.py/,
    lacking: !found('python3', '-c', 'import cryptography') && 'needs the Python package cryptography',
  },
  { command: /\bcurl /, lacking: !found('curl', '--version') && 'needs curl: apt-get install curl' },
  { command: /^(?:node|npm) /, lacking: !found('npm', '--version') && 'needs a Node of the system with npm' },
  {
    command: /^node /,
    lacking:
      !found('node', '--eval', 'process.exit(Number.parseInt(process.versions.node) < 20 ? 1 : 0)') &&
      'needs a Node of the system that is 20 or newer',
  },
]

/** The commands of a block before the first that lacks a program, and the rest, since later ones may depend on it. */
function split(commands: readonly string[]): { able: string[]; left: string[]; lacking: string | undefined } {
  const absent = NEEDS.filter(({ lacking }) => lacking !== false)
  const lackingOf = (command: string) => absent.find(need => need.command.test(command))?.lacking || undefined
  const first = commands.findIndex(command => lackingOf(command) !== undefined)
  if (first === -1) return { able: [...commands], left: [], lacking: undefined }
  return { able: commands.slice(0, first), left: commands.slice(first), lacking: lackingOf(commands[first] ?? '') }
}

/** Commands that run until Ctrl-C, each in a terminal of its own, and what they print when they are ready. */
const UNTIL_CTRL_C = [
  { command: /^\.\/ownkey start /, ready: /OwnKey is ready/ },
  { command: /^\.\/ownkey audit .*--follow/, ready: /"operationName"/ },
]

function freePort(): Promise<number> {
  return new Promise(resolve => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

/** A page as its reader goes through it: one copy of the checkout, one shell, and a terminal for each command that keeps running. */
class Reading {
  readonly #terminal: Terminal
  readonly #folder: string
  readonly #port: number
  /** Commands that run until Ctrl-C, by kind. The next of a kind ends the one before. */
  readonly #running = new Map<RegExp, () => Promise<Outcome>>()

  constructor(folder: string, port: number) {
    this.#folder = folder
    this.#port = port
    this.#terminal = new Terminal(folder, readersEnvironment(join(folder, 'home')))
  }

  /** 8443 may be taken, so only the port differs from the page. */
  #ported(text: string): string {
    return text.replaceAll('8443', String(this.#port))
  }

  async save(name: string, text: string): Promise<void> {
    await writeFile(join(this.#folder, name), this.#ported(text))
  }

  async run(block: Block, command: string): Promise<void> {
    const where = `${block.page}:${block.line}: ${command}`
    const long = UNTIL_CTRL_C.find(kind => kind.command.test(command))
    if (long !== undefined) {
      // Another cloud on the port ends the one before, after its clients.
      if (command.startsWith('./ownkey start')) await this.#stopAll()
      const bare = this.#ported(command).replace(/\s+#.*$/, '')
      const ported =
        bare.startsWith('./ownkey start') && !bare.includes('--port') ? `${bare} --port ${this.#port}` : bare
      this.#running.set(long.command, await this.#terminal.open(ported, long.ready))
      return
    }
    const { status, output } = await this.#terminal.run(this.#ported(command))
    const other = STATUS.find(({ begins }) => command.startsWith(begins))?.status
    assert.ok(status === 0 || status === other, `${where}\nended with ${status}:\n${output.slice(-4000)}`)
    const expected = PRINTS.find(({ page, begins }) => page === block.page && command.startsWith(begins))
    if (expected !== undefined) assert.match(output, expected.prints, where)
  }

  async #stop(kind: RegExp): Promise<void> {
    const stop = this.#running.get(kind)
    this.#running.delete(kind)
    const outcome = await stop?.()
    if (outcome !== undefined) assert.equal(outcome.status, 0, `Ctrl-C: ${outcome.output.slice(-2000)}`)
  }

  /** Ends all of them, and fails afterwards if one did not end well. */
  async end(): Promise<void> {
    await this.#terminal.close()
    await this.#stopAll()
  }

  async #stopAll(): Promise<void> {
    const ends: PromiseSettledResult<void>[] = []
    for (const kind of [...this.#running.keys()].reverse()) ends.push(...(await Promise.allSettled([this.#stop(kind)])))
    for (const end of ends) if (end.status === 'rejected') throw end.reason
  }
}

async function readingOf(t: TestContext): Promise<Reading> {
  const folder = await mkdtemp(join(tmpdir(), 'ownkey-docs-'))
  await copyCheckout(folder)
  await mkdir(join(folder, 'home'))
  const reading = new Reading(folder, await freePort())
  t.after(async () => {
    try {
      await reading.end()
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
  return reading
}

for (const { path, blocks } of pages) {
  const runnable = blocks.filter(block => commandsToRun(block).length > 0)
  if (runnable.length === 0) continue
  test(`${path}: every command works as it stands there`, async t => {
    const reading = await readingOf(t)
    for (const block of blocks) {
      const name = fileNameOf(block)
      if (name !== undefined) await reading.save(name, `${block.text}\n`)
      const commands = commandsToRun(block)
      if (commands.length === 0) continue
      const { able, left, lacking } = split(commands)
      if (able.length > 0)
        await t.test(`line ${block.line}: ${able[0]}`, async () => {
          for (const command of able) await reading.run(block, command)
        })
      if (lacking !== undefined) await t.test(`line ${block.line}: ${left[0]}`, { skip: lacking }, () => {})
    }
  })
}
