import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** How often the kernel ended processes because memory ran out, in this process's control group and on the machine. */
export interface OomKills {
  readonly group: number | undefined
  readonly machine: number | undefined
}

/**
 * Reads the kernel's counters; undefined where it has none. `root` is for tests.
 * Sources: https://docs.kernel.org/admin-guide/cgroup-v2.html (memory.events), cgroup-v1/memory.html (memory.oom_control), /proc/vmstat
 */
export function readOomKills(root = '/'): OomKills {
  const groups = read(join(root, 'proc/self/cgroup')) ?? ''
  const [v2, v1] = [/^0::(.*)$/m.exec(groups)?.[1], /^\d+:(?:[^:\n]*,)?memory(?:,[^:\n]*)?:(.*)$/m.exec(groups)?.[1]]
  const files = [
    ...(v2 === undefined ? [] : [join(root, 'sys/fs/cgroup', v2, 'memory.events')]),
    ...(v1 === undefined ? [] : [join(root, 'sys/fs/cgroup/memory', v1, 'memory.oom_control')]),
    // In a container the group's own folder is mounted as the root.
    join(root, 'sys/fs/cgroup/memory.events'),
    join(root, 'sys/fs/cgroup/memory/memory.oom_control'),
  ]
  const group = files.map(file => counterIn(read(file))).find(count => count !== undefined)
  return { group, machine: counterIn(read(join(root, 'proc/vmstat'))) }
}

/** Whether the kernel's out-of-memory killer ended processes in between; undefined: not known. */
export function oomBetween(before: OomKills, after: OomKills): boolean | undefined {
  const rises = [
    [before.group, after.group],
    [before.machine, after.machine],
  ] as const
  const known = rises.filter(([from, to]) => from !== undefined && to !== undefined)
  return known.length === 0 ? undefined : known.some(([from = 0, to = 0]) => to > from)
}

function counterIn(text: string | undefined): number | undefined {
  const found = text === undefined ? undefined : /^oom_kill (\d+)$/m.exec(text)?.[1]
  return found === undefined ? undefined : Number(found)
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
