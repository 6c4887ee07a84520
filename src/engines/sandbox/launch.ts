import { readdirSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { GpuVariant } from '../engine-settings.ts'
import { gpuDevices, gpuReads } from './gpu-devices.ts'
import type { Launch } from './launch.child.ts'

const ROOT = join(import.meta.dirname, '..', '..', '..')
const LAUNCHER = fileURLToPath(new URL('./launch.child.ts', import.meta.url))
/** The program's own code. Not its whole folder, since a cloud's data may be below it. */
const OWN = ['src', 'node_modules', 'package.json'].map(name => join(ROOT, name))
/** Where packages lie that are links in node_modules, as some package managers make it. Read now, since later no more files may be to open. */
const LINKED: readonly string[] = linkedPackages(join(ROOT, 'node_modules'))
/** Libraries, and what Node.js and llama.cpp ask about the machine. Nothing else of /etc, /proc and /sys. */
const SYSTEM = [
  '/lib',
  '/lib64',
  '/usr/lib',
  '/usr/lib64',
  '/etc/ld.so.cache',
  '/etc/ld.so.preload',
  '/etc/os-release',
  '/proc/cpuinfo',
  '/proc/meminfo',
  '/proc/loadavg',
  '/proc/stat',
  '/proc/vmstat',
  '/proc/sys/vm',
  '/sys/devices/system/cpu',
  '/sys/devices/system/node',
  '/sys/fs/cgroup',
  '/sys/kernel/mm/transparent_hugepage',
  '/dev/random',
  '/dev/urandom',
  '/dev/zero',
]

/** The engine's environment. It holds no secret, and where Node.js has what it compiled. */
export type EngineEnvironment = Readonly<Record<string, string | undefined>>

interface LaunchOptions {
  /** For Node.js. */
  readonly flags: readonly string[]
  /** Files besides the program's own, such as a base model. */
  readonly reads: readonly string[]
  /** Descriptors that it gets, besides stdin, stdout and stderr. */
  readonly descriptors: readonly number[]
  readonly environment: EngineEnvironment
  readonly gpu: GpuVariant
}

/** The words after `node` that start an engine's file with its rights taken away. Linux alone can do that; elsewhere it starts as it is. */
export function launchWords(file: string, { flags, reads, descriptors, environment, gpu }: LaunchOptions): string[] {
  const run = [...flags, file]
  if (process.platform !== 'linux') return run
  return [
    ...flags,
    LAUNCHER,
    JSON.stringify({ run, descriptors, ...filesOf([file, ...reads], environment, gpu) } satisfies Launch),
  ]
}

/** Words after `node` that print what this machine takes away from an engine (`Confinement`), from a program started like one. */
export function tellingWords(environment: EngineEnvironment): string[] {
  const run = ['-e', 'process.stdout.write(process.argv[1])']
  const launch: Launch = { run, tells: true, descriptors: [], ...filesOf([], environment, 'cpu') }
  return ['--no-warnings', LAUNCHER, JSON.stringify(launch)]
}

function filesOf(
  reads: readonly string[],
  environment: EngineEnvironment,
  gpu: GpuVariant,
): Pick<Launch, 'read' | 'devices'> {
  const { NODE_COMPILE_CACHE, OPENSSL_CONF, OPENSSL_MODULES } = environment
  const fips =
    OPENSSL_MODULES === undefined || OPENSSL_CONF === undefined ? [] : fipsFiles(OPENSSL_CONF, OPENSSL_MODULES)
  const cache = NODE_COMPILE_CACHE === undefined ? [] : [NODE_COMPILE_CACHE]
  return {
    read: [...OWN, ...LINKED, ...SYSTEM, ...cache, ...fips, ...gpuReads(gpu), ...reads],
    devices: ['/dev/null', ...gpuDevices(gpu)],
  }
}

/** Targets of links in the folder, and in those of scopes (`@owner`). */
function linkedPackages(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true })
  return entries.flatMap(entry => {
    const path = join(folder, entry.name)
    if (entry.isSymbolicLink()) return [realpathSync(path)]
    return entry.isDirectory() && entry.name.startsWith('@') ? linkedPackages(path) : []
  })
}

/** The provider, and its configuration with the file that `openssl fipsinstall` writes beside it. */
function fipsFiles(configuration: string, modules: string): string[] {
  return [modules, configuration, join(dirname(configuration), 'fipsmodule.cnf')]
}
