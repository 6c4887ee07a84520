import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { makeFolder } from '../base/make-folder.ts'
import { makeScratchFolder } from '../base/scratch-folder.ts'
import { shellQuoted, shellWord } from '../base/terminal.ts'
import { holds, STORED_NAME, storedAuthority, type Authority } from './authority.ts'
import { findProgram, runProgram, type ProgramResult } from './run-program.ts'

/** What became of a certificate in a store. */
export type Outcome =
  | { readonly done: 'added' | 'removed' | 'present' | 'absent'; readonly where: string }
  /** Nothing was done; `remedy` says what to do. */
  | { readonly done: 'not'; readonly where: string; readonly why: string; readonly remedy: string }

const UPDATE = 'update-ca-certificates'
const LOCAL = '/usr/local/share/ca-certificates'
const ETC = '/etc/ssl/certs'
const CONFIGURATION = '/etc/ca-certificates.conf'

/** Debian's store, which curl, Go, .NET, git and others read. With `root`, a store below that folder, which no program reads by itself. */
export class SystemStore {
  readonly #root: string

  constructor(root = '') {
    this.#root = root === '' ? '' : resolve(root)
  }

  /** All certificates that the system trusts, in one file. */
  get bundle(): string {
    return `${this.#root}${ETC}/ca-certificates.crt`
  }

  fileOf({ name }: Authority): string {
    return `${this.#root}${LOCAL}/${name}.crt`
  }

  /** Whether programs that use the system's store trust it now. */
  async trusts(authority: Authority): Promise<boolean> {
    return holds(await readFile(this.bundle, 'utf8').catch(() => ''), authority)
  }

  async add(authority: Authority): Promise<Outcome> {
    const where = this.fileOf(authority)
    const [has, trusted] = await Promise.all([this.#has(authority), this.trusts(authority)])
    if (has && trusted) return { done: 'present', where }
    return this.#change(authority, 'added', async () => {
      await makeFolder(dirname(where), 0o755)
      // Complete or not at all: update-ca-certificates may run at any time.
      await writeFile(`${where}.new`, authority.pem, { mode: 0o644 })
      await rename(`${where}.new`, where)
    })
  }

  async remove(authority: Authority): Promise<Outcome> {
    const where = this.fileOf(authority)
    const [has, trusted] = await Promise.all([this.#has(authority), this.trusts(authority)])
    if (!has && !trusted) return { done: 'absent', where }
    return this.#change(authority, 'removed', () => rm(where, { force: true }))
  }

  /** All CAs of clouds that were put here, also those whose folder is gone. */
  async installed(): Promise<Authority[]> {
    const names = await readdir(`${this.#root}${LOCAL}`).catch(() => [])
    const found: Authority[] = []
    for (const name of names) {
      if (!STORED_NAME.test(name.replace(/\.crt$/, ''))) continue
      const file = `${this.#root}${LOCAL}/${name}`
      const authority = storedAuthority(await readFile(file, 'utf8').catch(() => ''), file)
      if (authority !== undefined) found.push(authority)
    }
    return found
  }

  async #has(authority: Authority): Promise<boolean> {
    return holds(await readFile(this.fileOf(authority), 'utf8').catch(() => ''), authority)
  }

  async #change(authority: Authority, done: 'added' | 'removed', write: () => Promise<void>): Promise<Outcome> {
    const where = this.fileOf(authority)
    const not = (why: string, remedy: string): Outcome => ({ done: 'not', where, why, remedy })
    const update = await findProgram(UPDATE)
    if (update === undefined)
      return not(
        `${UPDATE} is not installed`,
        'Debian, Ubuntu: apt-get install ca-certificates. Elsewhere: see docs/clients.md.',
      )
    try {
      await write()
      await makeFolder(`${this.#root}${ETC}`, 0o755)
    } catch (error) {
      if (!['EACCES', 'EPERM', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
      return not('the system store belongs to root', rootCommands(authority, where, done))
    }
    const { code, errors } = await this.#update(update, authority, done)
    // The hooks of other packages may fail though the store is right.
    if ((await this.trusts(authority)) === (done === 'added')) return { done, where }
    return not(
      `${UPDATE} ended with ${code}: ${errors.trim().slice(0, 500)}`,
      `Run ${UPDATE} yourself, then this again.`,
    )
  }

  async #update(program: string, { name }: Authority, done: 'added' | 'removed'): Promise<ProgramResult> {
    // No hooks for another root: they would change this machine's Java.
    const at = [
      '--localcertsdir',
      `${this.#root}${LOCAL}`,
      '--etccertsdir',
      `${this.#root}${ETC}`,
      '--hooksdir',
      '/dev/null',
    ]
    const place = this.#root === '' ? [] : at
    if (done === 'added') return runProgram(program, place)
    // Links to certificates that are gone stay, and Java is told nothing, unless the configuration says that it was deselected.
    const scratch = await makeScratchFolder('ownkey-trust-')
    try {
      const configuration = join(scratch, 'ca-certificates.conf')
      await writeFile(configuration, `${await readFile(CONFIGURATION, 'utf8').catch(() => '')}\n!${name}.crt\n`)
      return await runProgram(program, [...place, '--certsconf', configuration])
    } finally {
      await rm(scratch, { recursive: true, force: true })
    }
  }
}

function rootCommands({ file }: Authority, where: string, done: 'added' | 'removed'): string {
  const by = done === 'added' ? `install -D -m 644 ${shellWord(file)} ${shellWord(where)}` : `rm ${shellWord(where)}`
  return `Run this again as root, or:\nsudo sh -c ${shellQuoted(`${by} && ${UPDATE}${done === 'added' ? '' : ' --fresh'}`)}`
}
