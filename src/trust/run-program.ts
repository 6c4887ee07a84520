import { spawn } from 'node:child_process'
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
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  return new Promise(resolve => {
    child.once('error', error => resolve({ code: -1, output, errors: error.message }))
    child.once('close', code => resolve({ code: code ?? -1, output, errors }))
  })
}

/** The path of a program, also in the folders of administration that users don't have on their PATH; undefined when it is not installed. */
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
