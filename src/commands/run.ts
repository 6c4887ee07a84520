import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { UsageError } from '../base/usage-error.ts'
import { clientEnvironment } from './print-environment.ts'

/** As a URL, since `--import` reads a path as one, and a `%` or `#` in it would name another file. */
const PRELOAD = new URL('../http/localhost.mjs', import.meta.url).href

/**
 * Runs a program under this Node, with names below localhost resolved and, for a data folder, with the environment that
 * `env` prints. The program replaces this process, so signals, input and exit code are its own.
 * @throws UsageError where there is no program to run
 */
export async function runProgram(options: {
  readonly dataDir: string | undefined
  readonly file: string | undefined
  readonly words: readonly string[]
}): Promise<number> {
  const { dataDir, file, words } = options
  if (file === undefined) throw new UsageError('FILE is missing: the program to run.')
  const wrong = fileProblem(file)
  if (wrong !== undefined) throw new UsageError(wrong)
  const cloud = dataDir === undefined ? {} : await clientEnvironment({ dataDir, systemRoot: undefined })
  if (process.execve === undefined)
    throw new Error('This platform cannot replace a process: run it with node yourself.')
  const argv = [process.execPath, '--import', PRELOAD, resolve(file), ...words]
  return process.execve(process.execPath, argv, { ...process.env, ...cloud })
}

function fileProblem(file: string): string | undefined {
  const found = statSync(file, { throwIfNoEntry: false })
  if (found === undefined) return `There is no file ${file}.`
  return found.isDirectory() ? `${file} is a folder: name the program in it.` : undefined
}
