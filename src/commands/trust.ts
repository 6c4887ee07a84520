import { readAuthority, type Authority } from '../trust/authority.ts'
import { fitted } from '../base/terminal.ts'
import { BrowserStores } from '../trust/browser-stores.ts'
import { homeFolder } from '../trust/home-folder.ts'
import { SystemStore, type Outcome } from '../trust/system-store.ts'

const WORDS = {
  added: 'trusted in  ',
  removed: 'removed from',
  present: 'is in       ',
  absent: 'is not in   ',
  not: 'NOT DONE    ',
}

const INDENT = ' '.repeat(13)

interface TrustOptions {
  /** Undefined: every CA of a cloud in these stores. */
  readonly dataDir: string | undefined
  readonly remove: boolean
  /** The system store below this folder, to try it out. */
  readonly systemRoot: string | undefined
}

/**
 * Puts the cloud's CA into the system's store and the user's browsers', or removes it. What is done already is left alone. Without a
 * folder it lists every cloud's CA, or removes all of them. Resolves to the exit code: 1 when a store could not be changed, after saying
 * what to do.
 */
export async function trust(options: TrustOptions): Promise<number> {
  const system = new SystemStore(options.systemRoot)
  const browsers = new BrowserStores(homeFolder())
  const { dataDir } = options
  const authorities = dataDir === undefined ? await installed(system, browsers) : [await readAuthority(dataDir)]
  if (authorities.length === 0) process.stdout.write('No cloud is trusted here.\n')
  let code = 0
  for (const authority of authorities) {
    const { subject, fingerprint, expiresAt } = authority
    process.stdout.write(`${subject}\nSHA-256 ${fingerprint}\nuntil ${expiresAt.toISOString().slice(0, 10)}\n`)
    const outcomes = await changed(options, { system, browsers, authority })
    for (const outcome of outcomes) show(outcome)
    if (outcomes.some(({ done }) => done === 'not')) code = 1
  }
  if (isSudo()) process.stderr.write("Your browsers' stores are yours, not root's: run this without sudo too.\n")
  return code
}

async function installed(system: SystemStore, browsers: BrowserStores): Promise<Authority[]> {
  const all = [...(await system.installed()), ...(await browsers.installed())]
  return [...new Map(all.map(authority => [authority.fingerprint, authority])).values()]
}

async function changed(
  { dataDir, remove }: TrustOptions,
  { system, browsers, authority }: { system: SystemStore; browsers: BrowserStores; authority: Authority },
): Promise<Outcome[]> {
  if (remove) return [await system.remove(authority), ...(isSudo() ? [] : await browsers.remove(authority))]
  if (dataDir !== undefined) return [await system.add(authority), ...(isSudo() ? [] : await browsers.add(authority))]
  const stores = [
    { where: system.fileOf(authority), trusted: await system.trusts(authority) },
    ...(await browsers.trusts(authority)),
  ]
  return stores.map(({ where, trusted }) => ({ done: trusted === true ? 'present' : 'absent', where }))
}

function show(outcome: Outcome): void {
  process.stdout.write(`${WORDS[outcome.done]} ${outcome.where}\n`)
  if (outcome.done === 'not')
    process.stdout.write(`${fitted(`${outcome.why}. ${outcome.remedy}`.replaceAll(/^/gm, INDENT))}\n`)
}

/** Under sudo the home folder may be the user's, and root's files in it would lock the user out. */
function isSudo(): boolean {
  return process.env['SUDO_USER'] !== undefined && process.getuid?.() === 0
}
