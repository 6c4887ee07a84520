import { writeFile } from 'node:fs/promises'
import { errorsPage } from './errors-page.ts'
import { saidIn, sources } from './said-codes.ts'

/** Writes docs/errors.md from the lists of codes and their uses in src. */
await writeFile(new URL('../docs/errors.md', import.meta.url), errorsPage(saidIn(await sources())))
