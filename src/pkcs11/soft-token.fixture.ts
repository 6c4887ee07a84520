import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openToken, type Token } from './token.ts'

/** Where distributions put SoftHSM 2. */
const LIBRARIES = [
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib64/softhsm/libsofthsm2.so',
  '/usr/lib64/pkcs11/libsofthsm2.so',
  '/opt/homebrew/lib/softhsm/libsofthsm2.so',
]
export const softHsm = LIBRARIES.find(path => existsSync(path)) ?? ''
/** For the `skip` of a test; false where SoftHSM 2 is there. */
export const softHsmMissing = softHsm === '' ? 'SoftHSM 2 is not installed (Debian: apt-get install softhsm2)' : false

export const PIN = 'correct-horse-1'

/**
 * A folder with new SoftHSM tokens of these labels. SoftHSM reads SOFTHSM2_CONF when it is initialised, and child processes
 * inherit it, so there can be only one such folder at a time.
 */
export function softTokens(...labels: string[]): { readonly folder: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'ownkey-softhsm-'))
  mkdirSync(join(folder, 'tokens'))
  const config = join(folder, 'softhsm2.conf')
  writeFileSync(config, `directories.tokendir = ${folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n`)
  process.env['SOFTHSM2_CONF'] = config
  for (const label of labels) {
    const args = [
      '--module',
      softHsm,
      '--init-token',
      '--free',
      '--label',
      label,
      '--pin',
      PIN,
      '--so-pin',
      `${PIN}-so`,
    ]
    const { status, stderr } = spawnSync('softhsm2-util', args, { encoding: 'utf8' })
    if (status !== 0) throw new Error(`softhsm2-util failed: ${stderr}`)
  }
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) }
}

export function openSoftToken(label?: string, pin = PIN): Promise<Token> {
  return openToken({ modulePath: softHsm, label, pin: async () => Buffer.from(pin) })
}
