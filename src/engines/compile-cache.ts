import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, openSync, statSync } from 'node:fs'
import { setPriority } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const FILLER = fileURLToPath(new URL('./compile-cache.child.ts', import.meta.url))
const LOCK_FILE = fileURLToPath(new URL('../../package-lock.json', import.meta.url))
/** The engine that has just been started comes first. */
const DELAY_MS = 5000
const LOWEST = 19

let isDue = true

/**
 * Fills Node.js's cache of compiled code with what engines load, which halves the time of their start. Engines can't write there themselves:
 * the service and other customers' engines run what is in it. Once for each version of the code, at low priority and a while after the call.
 */
export function fillCompileCache(): void {
  const { NODE_COMPILE_CACHE: folder } = process.env
  if (!isDue || !folder || process.platform !== 'linux') return
  isDue = false
  setTimeout(() => {
    if (!claim(folder)) return
    const environment = { PATH: '/usr/bin:/bin', HOME: '/nonexistent', NODE_COMPILE_CACHE: folder }
    const child = spawn(process.execPath, ['--no-warnings', FILLER], { env: environment, stdio: 'ignore' })
    child.on('error', () => undefined)
    child.unref()
    if (child.pid !== undefined) setPriority(child.pid, LOWEST)
  }, DELAY_MS).unref()
}

/** Whether nobody has filled the cache for this code yet. It leaves a file there that says so. */
function claim(folder: string): boolean {
  try {
    const versions = [process.version, FILLER, ...[FILLER, LOCK_FILE].map(path => statSync(path).mtimeMs)]
    const name = createHash('sha256').update(versions.join('\n')).digest('hex').slice(0, 16)
    closeSync(openSync(join(folder, `engines-${process.getuid?.()}-${name}`), 'wx', 0o600))
    return true
  } catch {
    return false
  }
}
