import { execFileSync } from 'node:child_process'

/** Ids of the processes of a cloud that hold plaintext of its accounts at present. */
export function engineIds(pid: number, kind: 'trainer' | 'inference'): number[] {
  const listed = execFileSync('ps', ['-eo', 'ppid,pid,args'], { encoding: 'utf8' })
  return listed
    .split('\n')
    .filter(line => line.trim().startsWith(`${pid} `) && line.includes(`${kind}.child`))
    .map(line => Number(line.trim().split(/\s+/)[1]))
}

export function engineProcesses(pid: number, kind: 'trainer' | 'inference'): number {
  return engineIds(pid, kind).length
}

/** One that is there, or will be soon, and is none of those named. */
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
