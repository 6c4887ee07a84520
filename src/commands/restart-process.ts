import { spawnSync } from 'node:child_process'
import { getFips } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const FIPS_TEST = new URL('../crypto/fips.ts', import.meta.url).href
const OWN_FOLDER = fileURLToPath(new URL('../../.fips', import.meta.url))
/** The young generation grows by 130 MiB under uploads, and never shrinks while the service idles; the last is for give-back-memory.ts. */
const FLAGS = ['--disable-sigusr1', '--max-semi-space-size=4', '--expose-gc']
const BUILD = 'scripts/build-fips-module.sh builds one in a few minutes'

/** What `--fips` needs in the environment of a process, its children and theirs. */
interface FipsEnvironment {
  readonly OPENSSL_CONF: string
  readonly OPENSSL_MODULES: string
}

/**
 * Puts this same process (its id stays) under what can only be set before Node starts: no core dumps, no inspector on SIGUSR1, a
 * heap that stays small, and with `fips` OpenSSL's FIPS provider. Returns where all of it holds already.
 * @throws Error where a FIPS provider is wanted and none works
 */
export function restartHardened({ fips }: { readonly fips: boolean }): void {
  const wantsFips = fips && getFips() !== 1
  const flags = [...FLAGS.filter(flag => !hasFlag(flag)), ...(wantsFips ? ['--enable-fips'] : [])]
  if (flags.length === 0 && !mayDumpCore()) return
  const environment = wantsFips ? { ...process.env, ...workingFips() } : process.env
  const words = [process.execPath, ...flags, ...process.execArgv, ...process.argv.slice(1)]
  // The shell sets the limit, which Node can't, and becomes Node again.
  process.execve?.('/bin/sh', ['sh', '-c', 'ulimit -c 0; exec "$0" "$@"', ...words], environment)
}

function hasFlag(flag: string): boolean {
  return [...process.execArgv, ...(process.env['NODE_OPTIONS'] ?? '').split(' ')].includes(flag)
}

/** A dump would hold keys. Where there is no /proc nobody can tell. */
function mayDumpCore(): boolean {
  try {
    return !/^Max core file size +0 +/m.test(readFileSync('/proc/self/limits', 'utf8'))
  } catch {
    return false
  }
}

/** @throws Error where there is no module, or one that does not do what it has to */
function workingFips(): FipsEnvironment {
  const found = fipsEnvironment(process.env)
  if (found === undefined)
    throw new Error(
      `--fips needs an OpenSSL FIPS provider, and there is none: ${BUILD}; one elsewhere is named by OWNKEY_FIPS_DIR, a folder with fips.so and openssl.cnf.`,
    )
  // Tried in another process: one that fails in ours would take it along without a word.
  const script = `import { fipsStatus } from ${JSON.stringify(FIPS_TEST)}; process.stdout.write(fipsStatus())`
  const { stdout, stderr } = spawnSync(process.execPath, ['--enable-fips', '--input-type=module', '--eval', script], {
    env: { ...process.env, NODE_OPTIONS: '', ...found },
    encoding: 'utf8',
  })
  if (stdout === 'active') return found
  const why = /error:[^\n]{0,200}/i.exec(stderr)?.[0] ?? 'AES-GCM and SHA-256 have to work there, and MD5 to be refused'
  throw new Error(`--fips: the FIPS provider in ${found.OPENSSL_MODULES} does not work (${why}). ${BUILD}.`)
}

/** Where the operator says, else where the script puts it. */
function fipsEnvironment(environment: NodeJS.ProcessEnv): FipsEnvironment | undefined {
  const { OPENSSL_CONF, OPENSSL_MODULES, OWNKEY_FIPS_DIR } = environment
  if (OWNKEY_FIPS_DIR === undefined && OPENSSL_CONF !== undefined && OPENSSL_MODULES !== undefined)
    return { OPENSSL_CONF, OPENSSL_MODULES }
  const folder = OWNKEY_FIPS_DIR ?? OWN_FOLDER
  const file = join(folder, 'openssl.cnf')
  return existsSync(file) && existsSync(join(folder, 'fips.so'))
    ? { OPENSSL_CONF: file, OPENSSL_MODULES: folder }
    : undefined
}
