import { COMMANDS } from './cli/catalogue.ts'
import { commandHelp } from './cli/help.ts'
import { parse } from './cli/parse.ts'
import { refuse, written } from './cli/refuse.ts'
import { plainError } from './base/plain-error.ts'
import { UsageError } from './base/usage-error.ts'

async function run(args: readonly string[]): Promise<number> {
  const { command, asks, values, words } = parse(args, COMMANDS)
  if (asks === 'help') {
    process.stdout.write(commandHelp(command))
    return 0
  }
  try {
    return await command.run(values, words)
  } catch (error) {
    // For an unknown command, the list of all commands says more.
    if (error instanceof UsageError && command.name !== 'help') error.command ??= command.name
    throw error
  }
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // `ownkey audit | head` has seen enough.
  if (error.code === 'EPIPE') process.exit(0)
  process.stderr.write(`ownkey: Not all of it could be written: ${plainError(error)}\n`)
  process.exit(1)
})

try {
  const code = await run(process.argv.slice(2))
  await written(process.stdout)
  process.exit(code)
} catch (error) {
  process.exit(await refuse(error))
}
