import { readFile } from 'node:fs/promises'

/** Resident memory of a process now, in MiB. */
export async function residentMebibytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1024
}

/** The most that it has while `run` runs. */
export async function peakDuring(pid: number, run: () => Promise<void>): Promise<number> {
  let peak = 0
  const timer = setInterval(() => {
    void residentMebibytes(pid).then(
      now => (peak = Math.max(peak, now)),
      () => undefined,
    )
  }, 50)
  try {
    await run()
  } finally {
    clearInterval(timer)
  }
  return peak
}
