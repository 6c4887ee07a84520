import { plainError } from '../base/plain-error.ts'
import { fitted } from '../base/terminal.ts'
import { UsageError } from '../base/usage-error.ts'

/** Tells people on stderr what went wrong; resolves to the exit code, 2 where the command line can't be meant. */
export async function refuse(error: unknown): Promise<number> {
  const isUsage = error instanceof UsageError
  const more = isUsage ? `\n./ownkey help${error.command === undefined ? '' : ` ${error.command}`} says more.` : ''
  process.stderr.write(`${fitted(`ownkey: ${plainError(error)}${more}`, '  ')}\n`)
  await written(process.stderr)
  return isUsage ? 2 : 1
}

/** What was written to a pipe may still wait for its reader: an exit would cut it off. */
export function written(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise(resolve => stream.write('', () => resolve()))
}
