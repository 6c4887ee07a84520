import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { clientEnvironment } from './print-environment.ts'

const PRELOAD = fileURLToPath(new URL('../http/localhost.mjs', import.meta.url))

/**
 * Runs a program under this Node with names below localhost resolved; with a data folder, also with the environment that
 * `env` prints. The program takes this process's place: signals, its input and its exit code are its own.
 * @returns the exit code 2 where there is nothing to run
 */
export async function runProgram(args: readonly string[]): Promise<number> {
  const { dataDir, file, rest, problem } = readArguments(args)
  const wrong = problem ?? fileProblem(file)
  if (wrong !== undefined) {
    process.stderr.write(`ownkey: ${wrong}\n`)
    return 2
  }
  const cloud = dataDir === undefined ? {} : await clientEnvironment({ dataDir, systemRoot: undefined })
  if (process.execve === undefined)
    throw new Error('This platform cannot replace a process: run it with node yourself.')
  const argv = [process.execPath, '--import', PRELOAD, resolve(file), ...rest]
  return process.execve(process.execPath, argv, { ...process.env, ...cloud })
}

interface RunArguments {
  readonly dataDir?: string
  readonly file: string
  readonly rest: readonly string[]
  readonly problem?: string
}

/** Options stand before FILE; everything behind it is the program's own, whatever it looks like. */
function readArguments(args: readonly string[]): RunArguments {
  const none = { file: '', rest: [] }
  let dataDir: string | undefined
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at] ?? ''
    if (arg === '--data-dir') dataDir = args[(at += 1)] ?? ''
    else if (arg.startsWith('--data-dir=')) dataDir = arg.slice('--data-dir='.length)
    else if (arg.startsWith('-'))
      return { ...none, problem: `'run' has no option ${arg}; a program's own stand behind FILE.` }
    else return { file: arg, rest: args.slice(at + 1), ...(dataDir !== undefined && { dataDir }) }
    if (dataDir === '') return { ...none, problem: '--data-dir needs the folder of a running cloud.' }
  }
  return { ...none, problem: 'run needs a program: ./ownkey run [--data-dir DIR] FILE [ARGUMENTS].' }
}

function fileProblem(file: string): string | undefined {
  const found = statSync(file, { throwIfNoEntry: false })
  if (found === undefined) return `There is no file ${file}.`
  return found.isDirectory() ? `${file} is a folder: name the program in it.` : undefined
}
