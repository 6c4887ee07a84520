import { cp, mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { folderFor } from './command-line.fixture.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const PARTS = ['src', 'portal/dist', 'models', 'docs/truth-table.md', 'examples', 'package.json']

/** A copy of OwnKey in a folder whose name URLs and shells would misread. Resolves to its path. */
export async function strangeFolder(t: TestContext): Promise<string> {
  const folder = join(await folderFor(t), `My "Grüße" $HOME %41#?'s`)
  await mkdir(folder)
  for (const part of PARTS) await cp(join(root, part), join(folder, part), { recursive: true })
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
  return folder
}
