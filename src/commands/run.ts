import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { UsageError } from '../base/usage-error.ts'
import { clientEnvironment } from './print-environment.ts'

/** As an address: `--import` reads a path as one, so that a `%` or `#` in it would be another file's. */
const PRELOAD = new URL('../http/localhost.mjs', import.meta.url).href

/**
 * Runs a program under this Node with names below localhost resolved; with a data folder, also with the environment that
 * `env` prints. The program takes this process's place: signals, its input and its exit code are its own.
 * @throws UsageError where there is nothing to run
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
