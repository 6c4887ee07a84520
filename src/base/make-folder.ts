import { lstat, mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Makes a folder and those above it, as `mkdir -p` does. Resolves to the first one that was made, undefined where the folder was there.
 * Node's own `recursive` never ends where a parent exists but nothing can be made in it (ENOENT), as in /proc.
 * @param mode of each that is made; 0700 unless said otherwise
 * @throws what mkdir does, the path in it; Error where a link leads nowhere
 */
export async function makeFolder(path: string, mode = 0o700): Promise<string | undefined> {
  const parent = dirname(path)
  try {
    return await makeOne(path, mode)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || parent === path) throw error
  }
  const first = await makeFolder(parent, mode)
  // The parent is there now, so a second failure is about the folder itself.
  const made = await makeOne(path, mode)
  return first ?? made
}

/** Undefined where it is there already. */
async function makeOne(path: string, mode: number): Promise<string | undefined> {
  try {
    await mkdir(path, { mode })
    return path
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    const found = await stat(path).catch(() => undefined)
    if (found?.isDirectory() === true) return undefined
    const isLink = found === undefined && (await lstat(path)).isSymbolicLink()
    throw isLink ? new Error(`${path} is a link that leads nowhere.`, { cause: error }) : error
  }
}
