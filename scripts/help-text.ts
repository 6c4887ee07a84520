import { writeFile } from 'node:fs/promises'
import { COMMANDS } from '../src/cli/catalogue.ts'
import { allHelp } from '../src/cli/help.ts'

/** Writes the help texts that the launcher shows until there is a Node.js that runs TypeScript. */
await writeFile(new URL('../src/cli/help.txt', import.meta.url), allHelp(COMMANDS))
