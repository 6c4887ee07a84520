import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

export interface ProgramResult {
  /** -1 when it could not be started or took longer than a minute. */
  readonly code: number
  readonly output: string
  readonly errors: string
}

const TIMEOUT_MS = 60_000

/** Runs a program without a shell, and without a terminal to ask in. */
export async function runProgram(program: string, args: readonly string[]): Promise<ProgramResult> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: TIMEOUT_MS })
  let output = ''
  let errors = ''
  try {
    // A program that did not start may have no pipes.
    await once(child, 'spawn')
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
    const [code] = (await once(child, 'close')) as [number | null]
    return { code: code ?? -1, output, errors }
  } catch (error) {
    return { code: -1, output, errors: (error as Error).message }
  }
}

/** The path of a program, looked for in the administrators' folders too; undefined when it is not installed. */
export async function findProgram(...names: readonly string[]): Promise<string | undefined> {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin']
  for (const name of names)
    for (const folder of folders) {
      const file = join(folder, name)
      if (folder !== '' && (await canRun(file))) return file
    }
  return undefined
}

function canRun(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  )
}
