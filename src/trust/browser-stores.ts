import { readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder } from '../base/make-folder.ts'
import { plainError } from '../base/plain-error.ts'
import { makeScratchFolder } from '../base/scratch-folder.ts'
import { holds, STORED_NAME, storedAuthority, type Authority } from './authority.ts'
import { findProgram, runProgram } from './run-program.ts'
import type { Outcome } from './system-store.ts'

const CHROMIUM = '.pki/nssdb'
/** Folders of profiles, each with a store of its own. */
const PROFILES = [
  '.mozilla/firefox',
  'snap/firefox/common/.mozilla/firefox',
  '.var/app/org.mozilla.firefox/.mozilla/firefox',
]
const BROWSERS = [
  'chromium',
  'chromium-browser',
  'google-chrome',
  'google-chrome-stable',
  'microsoft-edge',
  'brave-browser',
]
const INSTALL = 'Debian, Ubuntu: apt-get install libnss3-tools, then run this again.'

/** The NSS stores below a user's home, which Chromium, Chrome, Edge and Firefox read; they are changed by NSS's own certutil. */
export class BrowserStores {
  readonly #home: string | undefined

  /** @param home undefined: there are no stores */
  constructor(home: string | undefined) {
    this.#home = home
  }

  /** One outcome for each store; a single one with a reason when there is none or no certutil. */
  add(authority: Authority): Promise<Outcome[]> {
    return this.#each(true, async (certutil, folder) => {
      if (await listed(certutil, folder, authority)) return { done: 'present', where: folder }
      try {
        await makeFolder(folder)
      } catch (error) {
        return { done: 'not', where: folder, why: "the folder can't be made", remedy: plainError(error) }
      }
      if (!(await isStore(folder))) await runProgram(certutil, ['-N', '-d', `sql:${folder}`, '--empty-password'])
      const errors = await imported(certutil, folder, authority)
      if (await listed(certutil, folder, authority)) return { done: 'added', where: folder }
      return {
        done: 'not',
        where: folder,
        why: `certutil refused: ${errors}`,
        remedy: 'Close the browser, then run this again.',
      }
    })
  }

  remove(authority: Authority): Promise<Outcome[]> {
    return this.#each(false, async (certutil, folder) => {
      if ((await contained(certutil, folder, authority)) === undefined) return { done: 'absent', where: folder }
      const { errors } = await runProgram(certutil, ['-D', '-d', `sql:${folder}`, '-n', authority.name])
      if ((await contained(certutil, folder, authority)) === undefined) return { done: 'removed', where: folder }
      return {
        done: 'not',
        where: folder,
        why: `certutil refused: ${errors.trim()}`,
        remedy: 'Close the browser, then run this again.',
      }
    })
  }

  /** The stores that exist, and whether each trusts it; undefined where certutil is not installed. */
  async trusts(authority: Authority): Promise<{ readonly where: string; readonly trusted: boolean | undefined }[]> {
    const certutil = await findProgram('certutil')
    const folders = await this.#folders(false)
    return Promise.all(
      folders.map(async where => ({
        where,
        trusted: certutil === undefined ? undefined : await listed(certutil, where, authority),
      })),
    )
  }

  /** All CAs of clouds that were put here, also those whose folder is gone. */
  async installed(): Promise<Authority[]> {
    const certutil = await findProgram('certutil')
    if (certutil === undefined) return []
    const found = new Map<string, Authority>()
    for (const folder of await this.#folders(false)) {
      const { output } = await runProgram(certutil, ['-L', '-d', `sql:${folder}`])
      const names = output.split('\n').map(line => line.split(' ')[0] ?? '')
      for (const name of names.filter(one => STORED_NAME.test(one))) {
        const pem = (await runProgram(certutil, ['-L', '-d', `sql:${folder}`, '-n', name, '-a'])).output
        const authority = storedAuthority(pem, folder)
        if (authority !== undefined) found.set(authority.fingerprint, authority)
      }
    }
    return [...found.values()]
  }

  async #each(create: boolean, change: (certutil: string, folder: string) => Promise<Outcome>): Promise<Outcome[]> {
    const folders = await this.#folders(create)
    if (folders.length === 0)
      return [
        {
          done: 'absent',
          where: `browsers' stores${this.#home === undefined ? '' : ` in ${this.#home}`} (there is none)`,
        },
      ]
    const certutil = await findProgram('certutil')
    if (certutil === undefined)
      return folders.map(where => ({ done: 'not', where, why: 'certutil is not installed', remedy: INSTALL }))
    const outcomes: Outcome[] = []
    for (const folder of folders) outcomes.push(await change(certutil, folder))
    return outcomes
  }

  async #folders(create: boolean): Promise<string[]> {
    const home = this.#home
    if (home === undefined) return []
    const chromium = join(home, CHROMIUM)
    // A browser that never ran has no store yet, and will use the one that it finds.
    const wanted = (await isStore(chromium)) || (create && (await findProgram(...BROWSERS)) !== undefined)
    const found = wanted ? [chromium] : []
    for (const profiles of PROFILES) {
      const names = await readdir(join(home, profiles)).catch(() => [])
      for (const name of names) {
        const folder = join(home, profiles, name)
        if (await isStore(folder)) found.push(folder)
      }
    }
    return found
  }
}

/** In the store, and trusted to vouch for servers. */
async function listed(certutil: string, folder: string, authority: Authority): Promise<boolean> {
  const line = await contained(certutil, folder, authority)
  return line !== undefined && / C[^,]*,[^,]*,\S*\s*$/.test(line)
}

/** The line of certutil's list that says for what it is trusted; undefined when it is not in the store. */
async function contained(certutil: string, folder: string, authority: Authority): Promise<string | undefined> {
  if (!(await isStore(folder))) return undefined
  const { name } = authority
  const [pem, all] = await Promise.all([
    runProgram(certutil, ['-L', '-d', `sql:${folder}`, '-n', name, '-a']),
    runProgram(certutil, ['-L', '-d', `sql:${folder}`]),
  ])
  return holds(pem.output, authority) ? all.output.split('\n').find(text => text.startsWith(`${name} `)) : undefined
}

/** Resolves to what certutil complained about. */
async function imported(certutil: string, folder: string, authority: Authority): Promise<string> {
  const scratch = await makeScratchFolder('ownkey-trust-')
  try {
    const file = join(scratch, 'ca.pem')
    await writeFile(file, authority.pem)
    const { errors } = await runProgram(certutil, [
      '-A',
      '-d',
      `sql:${folder}`,
      '-n',
      authority.name,
      '-t',
      'C,,',
      '-i',
      file,
    ])
    return errors.trim()
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

function isStore(folder: string): Promise<boolean> {
  return stat(join(folder, 'cert9.db')).then(
    () => true,
    () => false,
  )
}
