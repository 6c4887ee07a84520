import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { extname, join, relative } from 'node:path'

export interface PortalFile {
  readonly contentType: string
  /** Quoted, of the plain content. */
  readonly etag: string
  /** Its name holds a digest of its content: it never changes. */
  readonly immutable: boolean
  readonly plain: Buffer<ArrayBuffer>
  readonly br?: Buffer<ArrayBuffer>
  readonly gzip?: Buffer<ArrayBuffer>
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
  '.png': 'image/png',
}

/** The built portal by path (`/assets/index-x.js`), in memory; empty where it was not built. */
export async function readPortalFiles(folder: string): Promise<ReadonlyMap<string, PortalFile>> {
  const files = new Map<string, PortalFile>()
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name)
    const contentType = TYPES[extname(path)]
    if (!entry.isFile() || contentType === undefined) continue
    const plain = await readFile(path)
    const [br, gzip] = await Promise.all([readIfPresent(`${path}.br`), readIfPresent(`${path}.gz`)])
    files.set(`/${relative(folder, path)}`, {
      contentType,
      etag: `"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"`,
      immutable: path.includes('/assets/'),
      plain,
      ...(br && { br }),
      ...(gzip && { gzip }),
    })
  }
  return files
}

async function readIfPresent(path: string): Promise<Buffer<ArrayBuffer> | undefined> {
  return readFile(path).catch(() => undefined)
}
