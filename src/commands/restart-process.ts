import { spawnSync } from 'node:child_process'
import { getFips } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const FIPS_TEST = new URL('../crypto/fips.ts', import.meta.url).href
const OWN_FOLDER = fileURLToPath(new URL('../../.fips', import.meta.url))
/** By default the young generation grows by 130 MiB under uploads, and never shrinks while idle. The last flag is for give-back-memory.ts. */
const FLAGS = ['--disable-sigusr1', '--max-semi-space-size=4', '--expose-gc']
const BUILD = 'scripts/build-fips-module.sh builds one in a few minutes'

/** The environment that `--fips` needs, also for child processes. */
interface FipsEnvironment {
  readonly OPENSSL_CONF: string
  readonly OPENSSL_MODULES: string
}

/**
 * Restarts this process in place (its id stays) with settings that must be made before Node starts: no core dumps, no inspector on
 * SIGUSR1, a heap that stays small, and with `fips` OpenSSL's FIPS provider. Returns if all of them are set already.
 * @throws Error where a FIPS provider is wanted and does not work
 */
export function restartHardened({ fips }: { readonly fips: boolean }): void {
  const wantsFips = fips && getFips() !== 1
  const flags = [...FLAGS.filter(flag => !hasFlag(flag)), ...(wantsFips ? ['--enable-fips'] : [])]
  if (flags.length === 0 && !mayDumpCore()) return
  const environment = wantsFips ? { ...process.env, ...workingFips() } : process.env
  const words = [process.execPath, ...flags, ...process.execArgv, ...process.argv.slice(1)]
  // Node can't set the limit, so a shell sets it and then executes Node.
  process.execve?.('/bin/sh', ['sh', '-c', 'ulimit -c 0; exec "$0" "$@"', ...words], environment)
}

function hasFlag(flag: string): boolean {
  return [...process.execArgv, ...(process.env['NODE_OPTIONS'] ?? '').split(' ')].includes(flag)
}

/** Whether a core dump, which would hold keys, is possible. Without /proc it is not known. */
function mayDumpCore(): boolean {
  try {
    return !/^Max core file size +0 +/m.test(readFileSync('/proc/self/limits', 'utf8'))
  } catch {
    return false
  }
}

/** @throws Error where there is no module, or it does not work */
function workingFips(): FipsEnvironment {
  const found = fipsEnvironment(process.env)
  if (found === undefined)
    throw new Error(
      `--fips needs an OpenSSL FIPS provider, and there is none: ${BUILD}; one elsewhere is named by OWNKEY_FIPS_DIR, a folder with fips.so and openssl.cnf.`,
    )
  // A module that fails would end this process without a message, so it is tried in another one.
  const script = `import { fipsStatus } from ${JSON.stringify(FIPS_TEST)}; process.stdout.write(fipsStatus())`
  const { stdout, stderr } = spawnSync(process.execPath, ['--enable-fips', '--input-type=module', '--eval', script], {
    env: { ...process.env, NODE_OPTIONS: '', ...found },
    encoding: 'utf8',
  })
  if (stdout === 'active') return found
  const why = /error:[^\n]{0,200}/i.exec(stderr)?.[0] ?? 'AES-GCM and SHA-256 have to work there, and MD5 to be refused'
  throw new Error(`--fips: the FIPS provider in ${found.OPENSSL_MODULES} does not work (${why}). ${BUILD}.`)
}

/** The operator's folder, else the script's. */
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
