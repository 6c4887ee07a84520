import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { root } from './blocks.ts'

const NOT_COPIED = new Set(['.git', '.venv', 'node_modules', 'coverage', 'tmp', '.ownkey', 'cloud'])
const COMMAND_MS = 120_000

/** A copy of this checkout, as a reader has it: with the packages installed, and nothing of other runs. */
export async function copyCheckout(folder: string): Promise<void> {
  await mkdir(join(folder, 'node_modules'), { recursive: true })
  for (const name of await readdir(root)) {
    if (!NOT_COPIED.has(name))
      await cp(join(root, name), join(folder, name), { recursive: true, preserveTimestamps: true })
  }
  for (const name of await readdir(join(root, 'node_modules'))) {
    const [from, to] = [join(root, 'node_modules', name), join(folder, 'node_modules', name)]
    if (!name.startsWith('.ownkey')) await symlink(from, to)
  }
  // The launcher's mark of an install, since it must not install into the linked folder.
  const marks = (await readFile(join(root, 'ownkey'), 'utf8')).match(/\.ownkey[\w-]*installed/g) ?? []
  for (const mark of marks) await cp(join(root, 'package-lock.json'), join(folder, 'node_modules', mark))
}

/** The result of a command. */
export interface Outcome {
  readonly status: number
  readonly output: string
}

/** One shell in a folder, the default of Debian and Ubuntu. Variables of a command are there for the next. */
export class Terminal {
  readonly #folder: string
  readonly #env: NodeJS.ProcessEnv
  readonly #shell: ChildProcess
  #output = ''
  #count = 0

  constructor(folder: string, env: NodeJS.ProcessEnv) {
    this.#folder = folder
    this.#env = env
    this.#shell = spawn('bash', ['--norc'], { cwd: folder, env, stdio: ['pipe', 'pipe', 'pipe'] })
    for (const stream of [this.#shell.stdout, this.#shell.stderr])
      stream?.on('data', (chunk: Buffer) => (this.#output += chunk.toString()))
  }

  /** Runs one command to its end. */
  async run(command: string): Promise<Outcome> {
    this.#count += 1
    this.#output = ''
    const mark = `<<ended ${this.#count}: `
    const file = join(this.#folder, `.docs-command-${this.#count}`)
    await writeFile(file, `${command}\n`)
    this.#shell.stdin?.write(`. '${file}' </dev/null; printf '<<ended ${this.#count}: %d>>\\n' $?\n`)
    const until = Date.now() + COMMAND_MS
    for (;;) {
      const [before = '', after] = this.#output.split(mark)
      const status = /^(\d+)>>/.exec(after ?? '')?.[1]
      if (status !== undefined) return { status: Number(status), output: before }
      if (this.#shell.exitCode !== null) return { status: this.#shell.exitCode || 1, output: this.#output }
      if (Date.now() > until) throw new Error(`${command}: not over after ${COMMAND_MS / 1000} s:\n${this.#output}`)
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }

  /** Another terminal with a command that runs until Ctrl-C. Resolves once its output says that it is ready. */
  async open(command: string, ready: RegExp): Promise<() => Promise<Outcome>> {
    // The shell's own variables stay in its terminal. It has a process group of its own, which Ctrl-C reaches.
    const child = spawn('bash', ['-c', command], { cwd: this.#folder, env: this.#env, detached: true })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
    const ended = once(child, 'close')
    const until = Date.now() + COMMAND_MS
    while (!ready.test(output)) {
      if (child.exitCode !== null || Date.now() > until) throw new Error(`${command} did not get ready:\n${output}`)
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    return async () => {
      if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, 'SIGINT')
      const [status, signal] = (await ended) as [number | null, string | null]
      return { status: signal === 'SIGINT' ? 0 : (status ?? 1), output }
    }
  }

  async close(): Promise<void> {
    if (this.#shell.exitCode !== null) return
    const ended = once(this.#shell, 'close')
    this.#shell.stdin?.end()
    await ended
  }
}
