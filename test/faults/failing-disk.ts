import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The errors of https://man7.org/linux/man-pages/man3/errno.3.html by their numbers on Linux. */
export const ERRNO = { EIO: 5, EINVAL: 22, ENOSPC: 28, EROFS: 30 } as const

export interface Rule {
  /** `any`, or of write, sync, truncate, rename, unlink, mkdir, open (to write). */
  readonly calls: string
  /** Text in the path of the file; default each. */
  readonly part?: string
  readonly error: keyof typeof ERRNO
  /** The first call that fails, from 1; default 1. */
  readonly from?: number
  /** Default all that follow. */
  readonly count?: number
}

/** Why these tests are skipped; false where they run. */
export const noCompiler =
  process.platform !== 'linux' || spawnSync('gcc', ['--version']).status !== 0 ? 'gcc is not installed' : false

const folder = await mkdtemp(join(tmpdir(), 'ownkey-faults-'))
const rulesFile = join(folder, 'rules')
const library = join(folder, 'failing-disk.so')

if (noCompiler === false) {
  const source = fileURLToPath(new URL('failing-disk.c', import.meta.url))
  const { status, stderr } = spawnSync('gcc', ['-O2', '-shared', '-fPIC', '-o', library, source, '-ldl', '-lpthread'], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`failing-disk.c does not compile: ${stderr}`)
  // Clouds that this process starts from here on.
  process.env['LD_PRELOAD'] = library
  process.env['OWNKEY_TEST_FAULTS'] = rulesFile
}

/** Makes calls fail by these rules in every process that was started with the library; without rules none fails. */
export async function failBy(...rules: readonly Rule[]): Promise<void> {
  const lines = rules.map(
    ({ calls, part = '*', error, from = 1, count = 1_000_000 }) =>
      `${calls} ${part} ${ERRNO[error]} ${from} ${count}\n`,
  )
  // Replaced as a whole, and with another length, since a change is detected by size and time.
  await writeFile(`${rulesFile}.next`, lines.join('') + ' '.repeat((padding = (padding + 1) % 64)))
  await rename(`${rulesFile}.next`, rulesFile)
}
let padding = 0

/** How many calls have failed since the rules were set. */
export async function failures(): Promise<number> {
  return Number(await readFile(`${rulesFile}.failed`, 'utf8').catch(() => '0'))
}

export async function forgetRules(): Promise<void> {
  delete process.env['LD_PRELOAD']
  delete process.env['OWNKEY_TEST_FAULTS']
  await rm(folder, { recursive: true, force: true })
}
