import { readdirSync, readFileSync } from 'node:fs'

/** Process ids of a process's children, by /proc: a stock system has no `ps`. */
export function childrenOf(pid: number): number[] {
  const all = readdirSync('/proc').filter(name => /^\d+$/.test(name))
  // `1234 (name, which may hold spaces) S 1 …`: the state and the parent come after the last bracket.
  return all.map(Number).filter(child => Number(read(child, 'stat').split(') ').at(-1)?.split(' ')[1]) === pid)
}

/** Which processes of a cloud hold plaintext of its accounts at present. */
export function enginesOf(pid: number, kind: 'trainer' | 'inference'): number[] {
  return childrenOf(pid).filter(child => read(child, 'cmdline').includes(`${kind}.child`))
}

/** How many. */
export function engineProcesses(pid: number, kind: 'trainer' | 'inference'): number {
  return enginesOf(pid, kind).length
}

/** Empty: the process is gone by now. */
function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return ''
  }
}
