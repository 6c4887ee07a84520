import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A disk of its own in memory. */
export interface SmallDisk {
  readonly path: string
  remove(): void
}

/** @throws Error where this user may not mount */
function mountDisk(megabytes: number): SmallDisk {
  const path = mkdtempSync(join(tmpdir(), 'ownkey-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=700`, 'ownkey-test', path], { stdio: 'pipe' })
  } catch (error) {
    rmdirSync(path)
    throw error
  }
  return {
    path,
    remove: () => {
      execFileSync('umount', ['--lazy', path])
      rmdirSync(path)
    },
  }
}

/** For `{ skip }`: why a small disk is not possible here. */
export const noSmallDisk = ((): string | false => {
  try {
    mountDisk(1).remove()
    return false
  } catch {
    return 'Small disk: this user may not mount one'
  }
})()

export const smallDisk = mountDisk

const GROUPS = '/sys/fs/cgroup'
const isV1 = existsSync(join(GROUPS, 'memory/memory.limit_in_bytes'))

/** For `{ skip }`: why a limit on memory is not possible here. */
export const noLittleMemory = ((): string | false => {
  try {
    littleMemory(0, 64).remove()
    return false
  } catch {
    return 'Little memory: this user may not make control groups'
  }
})()

/** The kernel ends the process when it gets this much more memory. */
export function littleMemory(id: number, megabytes: number): { remove(): void } {
  const group = join(GROUPS, isV1 ? 'memory' : '', `ownkey-test-${process.pid}-${id}`)
  mkdirSync(group)
  try {
    writeFileSync(join(group, isV1 ? 'memory.limit_in_bytes' : 'memory.max'), `${megabytes}M`)
    if (id !== 0) writeFileSync(join(group, 'cgroup.procs'), String(id))
  } catch (error) {
    rmdirSync(group)
    throw error
  }
  return { remove: () => rmdirSync(group) }
}
