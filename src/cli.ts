import { COMMANDS } from './cli/catalogue.ts'
import { commandHelp } from './cli/help.ts'
import { parse } from './cli/parse.ts'
import { plainError } from './plain-error.ts'
import { fitted } from './terminal.ts'
import { UsageError } from './usage-error.ts'

async function run(args: readonly string[]): Promise<number> {
  const { command, asks, values, words } = parse(args, COMMANDS)
  if (asks === 'help') {
    process.stdout.write(commandHelp(command))
    return 0
  }
  try {
    return await command.run(values, words)
  } catch (error) {
    if (error instanceof UsageError) error.command ??= command.name
    throw error
  }
}

/** `ownkey audit | head` has seen enough. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))

/** What was written to a pipe may still wait for its reader: an exit would cut it off. */
function written(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise(resolve => stream.write('', () => resolve()))
}

try {
  const code = await run(process.argv.slice(2))
  await written(process.stdout)
  process.exit(code)
} catch (error) {
  const isUsage = error instanceof UsageError
  const more = isUsage ? `\n./ownkey help${error.command === undefined ? '' : ` ${error.command}`} says more.` : ''
  process.stderr.write(`${fitted(`ownkey: ${plainError(error)}${more}`, '  ')}\n`)
  await written(process.stderr)
  process.exit(isUsage ? 2 : 1)
}
