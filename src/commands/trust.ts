import { homedir } from 'node:os'
import { readAuthority } from '../trust/authority.ts'
import { BrowserStores } from '../trust/browser-stores.ts'
import { SystemStore, type Outcome } from '../trust/system-store.ts'

const WORDS = {
  added: 'trusted in  ',
  removed: 'removed from',
  present: 'already in  ',
  absent: 'not in      ',
  not: 'NOT DONE    ',
}

/**
 * Puts the cloud's CA into the system's store and the user's browsers', or takes it out of them; what is done already is left alone.
 * Resolves to the exit code: 1 when a store could not be changed, after saying what to do.
 */
export async function trust(options: {
  dataDir: string
  remove: boolean
  /** The system store below this folder, to try it out. */
  systemRoot: string | undefined
}): Promise<number> {
  const authority = await readAuthority(options.dataDir)
  const { subject, fingerprint, expiresAt } = authority
  process.stdout.write(`${subject}, until ${expiresAt.toISOString().slice(0, 10)}\nSHA-256 ${fingerprint}\n`)
  const system = new SystemStore(options.systemRoot)
  const outcomes: Outcome[] = [await (options.remove ? system.remove(authority) : system.add(authority))]
  const browsers = new BrowserStores(homedir())
  if (!isSudo()) outcomes.push(...(await (options.remove ? browsers.remove(authority) : browsers.add(authority))))
  for (const outcome of outcomes) show(outcome)
  if (isSudo()) process.stdout.write("Your browsers' stores are yours, not root's: run this without sudo too.\n")
  return outcomes.some(({ done }) => done === 'not') ? 1 : 0
}

function show(outcome: Outcome): void {
  process.stdout.write(`${WORDS[outcome.done]} ${outcome.where}\n`)
  if (outcome.done === 'not') process.stdout.write(`             ${outcome.why}. ${outcome.remedy}\n`)
}

/** Under sudo the home folder is root's or the user's, as the machine is set up: files of root in it would lock the user out. */
function isSudo(): boolean {
  return process.env['SUDO_USER'] !== undefined && process.getuid?.() === 0
}
