import { open, readFile } from 'node:fs/promises'

/** Regions that a process can write to: heaps, stacks and its other mappings. */
async function writableRegions(pid: number): Promise<{ start: number; length: number }[]> {
  const maps = await readFile(`/proc/${pid}/maps`, 'utf8')
  return maps
    .split('\n')
    .filter(line => /^[0-9a-f]+-[0-9a-f]+ rw/.test(line) && !/\[v(var|dso|syscall)\]/.test(line))
    .map(line => {
      const [start = 0, end = 0] = (line.split(' ')[0] ?? '').split('-').map(hex => Number.parseInt(hex, 16))
      return { start, length: end - start }
    })
}

const STEP = 16 * 1024 * 1024

/** The memory of a process, for callers who may trace it: its parents, and root. */
export async function memoryOf(pid: number): Promise<Buffer[]> {
  const memory = await open(`/proc/${pid}/mem`, 'r')
  const parts: Buffer[] = []
  try {
    for (const { start, length } of await writableRegions(pid))
      for (let at = 0; at < length; at += STEP) {
        const part = Buffer.alloc(Math.min(STEP, length - at))
        // A region may have gone since it was listed, or never have been touched.
        const read = await memory.read(part, 0, part.length, start + at).catch(() => undefined)
        if (read !== undefined) parts.push(part.subarray(0, read.bytesRead))
      }
  } finally {
    await memory.close()
  }
  return parts
}

/** How often the bytes stand in it. */
export function occurrences(memory: readonly Buffer[], bytes: Uint8Array): number {
  let count = 0
  for (const part of memory) for (let at = part.indexOf(bytes); at >= 0; at = part.indexOf(bytes, at + 1)) count += 1
  return count
}
