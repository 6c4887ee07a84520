import { plainError } from '../base/plain-error.ts'
import { fitted } from '../base/terminal.ts'
import { UsageError } from '../base/usage-error.ts'

/** Writes to stderr what went wrong. Resolves to the exit code, which is 2 for a wrong command line. */
export async function refuse(error: unknown): Promise<number> {
  const isUsage = error instanceof UsageError
  const more = isUsage ? `\n./ownkey help${error.command === undefined ? '' : ` ${error.command}`} says more.` : ''
  process.stderr.write(`${fitted(`ownkey: ${plainError(error)}${more}`, '  ')}\n`)
  await written(process.stderr)
  return isUsage ? 2 : 1
}

/** Output in a pipe may still wait for its reader, so an exit would cut it off. */
export function written(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise(resolve => stream.write('', () => resolve()))
}
