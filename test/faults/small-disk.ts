import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A disk of so many MiB of its own, which can be filled. */
export interface SmallDisk {
  readonly folder: string
  /** Takes every byte that is left. */
  fill(): Promise<void>
  makeRoom(): Promise<void>
}

const parent = await mkdtemp(join(tmpdir(), 'ownkey-disk-'))

/** Undefined where this user may not mount: only root may. Unmounted after the test. */
export async function smallDisk(
  test: { after(fn: () => Promise<void>): void },
  mebibytes: number,
): Promise<SmallDisk | undefined> {
  const folder = await mkdtemp(join(parent, 'mount-'))
  const mounted =
    spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=0700`, 'tmpfs', folder]).status === 0
  test.after(async () => {
    if (mounted) spawnSync('umount', ['--lazy', folder])
    await rm(parent, { recursive: true, force: true })
  })
  if (!mounted) return undefined
  const ballast = join(folder, 'ballast')
  return {
    folder,
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
