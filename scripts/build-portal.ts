import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'

const portal = fileURLToPath(new URL('../portal', import.meta.url))
const dist = join(portal, 'dist')

/** Builds the portal into portal/dist, which is committed; with --check, compares it with the committed one. */
async function main(): Promise<number> {
  if (!process.argv.includes('--check')) {
    await buildInto(dist)
    return 0
  }
  const folder = await mkdtemp(join(tmpdir(), 'ownkey-portal-'))
  try {
    await buildInto(folder)
    const [fresh, committed] = [await digest(folder), await digest(dist)]
    if (fresh === committed) return 0
    process.stderr.write('portal/dist is not what the sources in portal/ build. Run: npm run portal:build\n')
    return 1
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function buildInto(outDir: string): Promise<void> {
  const configFile = join(portal, 'vite.config.ts')
  await build({ root: portal, configFile, logLevel: 'error', build: { outDir, emptyOutDir: true } })
}

/** Of all names and contents of a folder. */
async function digest(folder: string): Promise<string> {
  const hash = createHash('sha256')
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  const paths = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
  for (const path of paths.sort()) hash.update(`${relative(folder, path)}\0`).update(await readFile(path))
  return hash.digest('hex')
}

process.exit(await main())
