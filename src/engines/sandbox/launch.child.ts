/** Starts an engine's program with its rights taken away, in the same process. Its argument is a `Launch`, as JSON. */
import { readFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { addFilter, dropCapabilities, keepOpen, setNoNewPrivileges } from './kernel.ts'
import { landlockVersion, restrictFiles } from './landlock.ts'
import { engineFilter } from './seccomp.ts'

/** What an engine is started with. */
export interface Launch {
  /** Words for Node.js: flags, the engine's file. */
  readonly run: readonly string[]
  /** Adds the `Confinement` to these words, as JSON. */
  readonly tells?: true
  /** Descriptors that it gets, besides stdin, stdout and stderr. */
  readonly descriptors: readonly number[]
  /** Files and folders to read. */
  readonly read: readonly string[]
  readonly devices: readonly string[]
}

/** What was taken away. */
export interface Confinement {
  readonly noNewPrivileges: boolean
  /** The version of Landlock that limits files; absent: none. */
  readonly landlock?: number
  /** The filter of system calls. */
  readonly filter: boolean
}

const { run, tells, descriptors, read, devices } = JSON.parse(process.argv[2] ?? '') as Launch
const confinement = confine()
for (const fd of descriptors) keepOpen(fd)
const words = tells === true ? [...run, JSON.stringify(confinement)] : run
process.execve?.(process.execPath, [process.execPath, ...words], process.env)

function confine(): Confinement {
  const noNewPrivileges = setNoNewPrivileges()
  const landlock = landlockVersion()
  const rights = { read: [...read, `/proc/${process.pid}`, ...libraries().folders], run: programs(), devices }
  const isLimited = landlock !== undefined && restrictFiles(landlock, rights)
  dropCapabilities(isLimited)
  const { arch: processor, pid } = process
  const opensDevices = devices.some(path => path !== '/dev/null')
  const isKnown = processor === 'x64' || processor === 'arm64'
  const filter = isKnown && addFilter(engineFilter({ processor, pid, opensDevices }), 'thread')
  return { noNewPrivileges, filter, ...(isLimited ? { landlock } : {}) }
}

/** Node.js, and the loader that the kernel starts it with. */
function programs(): string[] {
  return [process.execPath, ...libraries().loaders]
}

/** Where this process has its libraries from, wherever this system keeps them. */
function libraries(): { folders: string[]; loaders: string[] } {
  const maps = readFileSync('/proc/self/maps', 'utf8').split('\n')
  const paths = maps.flatMap(line => (line.includes(' /') ? [line.slice(line.indexOf(' /') + 1)] : []))
  const files = [...new Set(paths)].filter(path => path.includes('.so'))
  const folders = [...new Set(files.map(path => dirname(path)))]
  return { folders, loaders: files.filter(path => basename(path).startsWith('ld')) }
}
