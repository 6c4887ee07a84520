import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { build } from 'vite'

const portal = new URL('../portal', import.meta.url).pathname
const dist = join(portal, 'dist')

/** Builds the portal into portal/dist, each text file with its Brotli and gzip twins beside it. */
await build({ root: portal, configFile: join(portal, 'vite.config.ts'), logLevel: 'error' })
for (const entry of await readdir(dist, { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath, entry.name)
  if (!entry.isFile() || !/\.(js|css|html|svg)$/.test(path)) continue
  const content = await readFile(path)
  const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } }
  await writeFile(`${path}.br`, brotliCompressSync(content, quality))
  await writeFile(`${path}.gz`, gzipSync(content, { level: 9 }))
}
await rm(join(dist, '.built'), { force: true })
await writeFile(join(dist, '.built'), '')
