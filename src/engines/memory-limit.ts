import { readFileSync } from 'node:fs'
import { totalmem } from 'node:os'

const MIB = 1024 * 1024
const LOOK_MS = 500
/** Lines of /proc/PID/status, in KiB. */
const OWN = ['RssAnon:', 'RssShmem:', 'VmSwap:']
/** What a process has reserved in writable pages beyond those that it has touched: stacks, heaps that may grow. Measured: 640 MiB. */
const UNTOUCHED = 2048 * MIB

/** Bytes that this process may have: the machine's, or those of its control group. */
export const memoryOfMachine = (): number => Math.min(totalmem(), process.constrainedMemory() || Infinity)

/**
 * Bytes that one engine may use unless the operator says otherwise: those of this machine or control group without a tenth of them, at most
 * 1 GiB, for the service.
 */
export function defaultMemoryLimit(): number {
  const most = memoryOfMachine()
  return Math.floor(most - Math.min(most / 10, 1024 * MIB))
}

/** KiB for `ulimit -d` (RLIMIT_DATA), which ends one large request for memory before it is granted. It counts pages that are not touched. */
export function dataLimitKiB(limit: number): number {
  return Math.ceil((limit + UNTOUCHED) / 1024)
}

/** Calls `onOver` once, when the process uses more bytes of its own than the limit. Linux alone says how many it uses. */
export function watchMemory(pid: number | undefined, limit: number, onOver: (how: string) => void): { stop(): void } {
  const timer = setInterval(() => {
    if (pid === undefined || memoryOf(pid) <= limit) return
    clearInterval(timer)
    onOver(`used more than the ${Math.floor(limit / MIB)} MiB of memory that one engine may, and was ended`)
  }, LOOK_MS).unref()
  return { stop: () => clearInterval(timer) }
}

/**
 * Bytes that are a process's own, in memory or in swap. Pages of files, such as the weights of a base, are not: the kernel takes them back
 * where it needs memory. 0 where it is not known.
 */
function memoryOf(pid: number): number {
  let status: string
  try {
    status = readFileSync(`/proc/${pid}/status`, 'latin1')
  } catch {
    return 0
  }
  const own = status.split('\n').filter(line => OWN.some(name => line.startsWith(name)))
  return own.reduce((sum, line) => sum + Number.parseInt(line.slice(line.indexOf(':') + 1), 10) * 1024, 0)
}
