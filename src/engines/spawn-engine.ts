import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { getFips } from 'node:crypto'
import { promisify } from 'node:util'
import type { GpuVariant } from './engine-settings.ts'
import { dataLimitKiB } from './memory-limit.ts'
import type { Confinement } from './sandbox/launch.child.ts'
import { launchWords, tellingWords, type EngineEnvironment } from './sandbox/launch.ts'
import { LIFE_FD } from './sign-of-life.ts'

const isFips = getFips() === 1
const NODE_FLAGS = ['--no-warnings', '--disable-sigusr1', ...(isFips ? ['--enable-fips'] : [])]
/**
 * No core dump, since customers' data is in its memory. When memory runs out, the kernel ends an engine before the service:
 * https://man7.org/linux/man-pages/man5/proc_pid_oom_score_adj.5.html. Where setpriv is installed, it ends with its parent from the very
 * beginning, also while it is stopped (sign-of-life.ts does that later): https://man7.org/linux/man-pages/man1/setpriv.1.html
 */
const prepare = (memory: number, gpu: GpuVariant): string =>
  [
    'ulimit -c 0; { echo 500 >/proc/self/oom_score_adj; } 2>/dev/null',
    // Drivers of GPUs reserve memory without using it.
    ...(gpu === 'cpu' ? [`ulimit -d ${dataLimitKiB(memory)} 2>/dev/null`] : []),
    'if setpriv --pdeathsig KILL true 2>/dev/null; then exec setpriv --pdeathsig KILL "$0" "$@"; fi',
    'exec "$0" "$@"',
  ].join('\n')
/**
 * Nothing of the service's own environment but its FIPS provider, if it runs on one, and its cache of what Node.js has compiled, which
 * halves the time of a start. Without a home nobody's files are looked for, and without a configuration OpenSSL reads none.
 */
function engineEnvironment(): EngineEnvironment {
  const { OPENSSL_CONF, OPENSSL_MODULES, NODE_COMPILE_CACHE } = process.env
  return {
    PATH: '/usr/bin:/bin',
    LANG: 'C.UTF-8',
    HOME: '/nonexistent',
    ...(NODE_COMPILE_CACHE ? { NODE_COMPILE_CACHE } : {}),
    ...(isFips ? { OPENSSL_CONF, OPENSSL_MODULES } : { OPENSSL_CONF: '/dev/null' }),
  }
}

/** Drivers keep what they compile, but an engine may not write. */
const NO_CACHES: Readonly<Record<GpuVariant, EngineEnvironment>> = {
  cpu: {},
  cuda: { CUDA_CACHE_DISABLE: '1' },
  vulkan: { MESA_SHADER_CACHE_DISABLE: 'true', __GL_SHADER_DISK_CACHE: '0' },
  metal: {},
}

/** Starts a file with stdin, stderr, fd 3 and the fd of its signs of life as pipes. @param how what it may read, and bytes of memory */
export function spawnEngine(
  file: string,
  { reads, memory, gpu }: { readonly reads: readonly string[]; readonly memory: number; readonly gpu: GpuVariant },
): ChildProcess {
  const environment = { ...engineEnvironment(), ...NO_CACHES[gpu] }
  const words = launchWords(file, { flags: NODE_FLAGS, reads, descriptors: [3, LIFE_FD], environment, gpu })
  return spawn('/bin/sh', ['-c', prepare(memory, gpu), process.execPath, ...words], {
    env: environment,
    stdio: ['pipe', 'ignore', 'pipe', 'pipe', 'pipe'],
    detached: true,
  })
}

/** What this machine takes away from engines, tried in a process that is started like one. Undefined: nothing, or it can't be tried. */
export async function askConfinement(): Promise<Confinement | undefined> {
  if (process.platform !== 'linux') return undefined
  const env = engineEnvironment()
  try {
    const { stdout } = await promisify(execFile)(process.execPath, tellingWords(env), { env })
    return JSON.parse(stdout) as Confinement
  } catch {
    return undefined
  }
}
