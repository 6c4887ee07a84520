import { COMMANDS } from './catalogue.ts'
import { parse } from './parse.ts'
import { refuse } from './refuse.ts'

/** The launcher runs this before it installs anything. It says what is wrong with a command line, and does nothing else. */
try {
  parse(process.argv.slice(2), COMMANDS)
} catch (error) {
  process.exitCode = await refuse(error)
}
