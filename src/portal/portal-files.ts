import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { extname, join, relative } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'

/** Content codings that are offered for text, the smaller one first (RFC 9110, 8.4.1; RFC 7932). */
export const CODINGS = ['br', 'gzip'] as const
export type Coding = (typeof CODINGS)[number]

export interface PortalFile {
  readonly contentType: string
  /** Quoted, of the plain content. */
  readonly etag: string
  /** Whether its name holds a digest of its content, so that it never changes. */
  readonly immutable: boolean
  readonly plain: Buffer<ArrayBuffer>
  /** The content in a coding, made at the first request; undefined for files that are compressed already. */
  compressed(coding: Coding): Promise<Buffer<ArrayBuffer>> | undefined
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
  '.png': 'image/png',
}
const TEXT = /^text\/|\+xml$/

const COMPRESS: Readonly<Record<Coding, (plain: Buffer) => Promise<Buffer<ArrayBuffer>>>> = {
  br: plain => promisify(brotliCompress)(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } }),
  gzip: plain => promisify(gzip)(plain, { level: 9 }),
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
    const made = new Map<Coding, Promise<Buffer<ArrayBuffer>>>()
    files.set(`/${relative(folder, path)}`, {
      contentType,
      etag: `"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"`,
      immutable: path.includes('/assets/'),
      plain,
      compressed: coding => {
        if (!TEXT.test(contentType)) return undefined
        if (!made.has(coding)) made.set(coding, COMPRESS[coding](plain))
        return made.get(coding)
      },
    })
  }
  return files
}
