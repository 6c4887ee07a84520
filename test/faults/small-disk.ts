import { existsSync } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { noSmallDisk, smallDisk as mountDisk } from '../support/small-machine.ts'

/** A separate disk of this many MiB, which can be filled. */
export interface SmallDisk {
  readonly folder: string
  /** Uses every byte that is left. */
  fill(): Promise<void>
  makeRoom(): Promise<void>
}

/** Undefined where this user may not mount; see noSmallDisk. Unmounted after the test. */
export function smallDisk(test: { after(fn: () => void): void }, mebibytes: number): SmallDisk | undefined {
  if (noSmallDisk !== false) return undefined
  const disk = mountDisk(mebibytes)
  test.after(() => disk.remove())
  const ballast = join(disk.path, 'ballast')
  return {
    folder: disk.path,
    async fill() {
      const file = await open(ballast, 'a')
      try {
        for (let size = 1024 * 1024; size >= 1; size = Math.floor(size / 2)) {
          const part = Buffer.alloc(size)
          while ((await file.write(part).catch(() => ({ bytesWritten: 0 }))).bytesWritten > 0);
        }
      } finally {
        await file.close()
      }
    },
    async makeRoom() {
      if (existsSync(ballast)) await rm(ballast)
    },
  }
}
