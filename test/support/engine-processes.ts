import { readdirSync, readFileSync } from 'node:fs'

/** Process ids of a cloud's children that hold plaintext of its accounts, from /proc, since not every machine has `ps`. */
export function engineIds(cloudPid: number, kind: 'trainer' | 'inference'): number[] {
  return childrenOf(cloudPid).filter(pid => of(String(pid), 'cmdline').includes(`${kind}.child`))
}

/** Process ids of a process's children. */
export function childrenOf(parent: number): number[] {
  const pids = readdirSync('/proc').filter(name => /^\d+$/.test(name))
  return pids.filter(pid => parentOf(pid) === parent).map(Number)
}

/** The number of these. */
export const engineProcesses = (cloudPid: number, kind: 'trainer' | 'inference'): number =>
  engineIds(cloudPid, kind).length

/** One that is there, or will be soon, and is not one of those named. */
export async function engineOf(
  pid: number,
  kind: 'trainer' | 'inference',
  but: readonly number[] = [],
  seconds = 60,
): Promise<number> {
  for (const deadline = Date.now() + seconds * 1000; Date.now() < deadline;) {
    const found = engineIds(pid, kind).find(id => !but.includes(id))
    if (found !== undefined) return found
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  throw new Error(`The cloud started no ${kind} within ${seconds} s.`)
}

/** Whether a process is there still. */
export function isThere(id: number): boolean {
  try {
    process.kill(id, 0)
    return true
  } catch {
    return false
  }
}

/** The process group of a process. */
export function groupOf(pid: number): number {
  return fieldOf(String(pid), 3)
}

function parentOf(pid: string): number {
  return fieldOf(pid, 2)
}

/** A field of /proc/PID/stat, counted after the name, which is in brackets and may have any character, also a bracket. */
function fieldOf(pid: string, field: number): number {
  const stat = of(pid, 'stat')
  return Number(stat.slice(stat.lastIndexOf(')') + 1).split(' ')[field])
}

/** '' where the process has ended since it was listed. */
function of(pid: string, file: 'stat' | 'cmdline'): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return ''
    throw error
  }
}
