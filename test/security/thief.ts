import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const script = fileURLToPath(new URL('../../examples/decoder/thief.py', import.meta.url))
const own = fileURLToPath(new URL('../../.venv/bin/python3', import.meta.url))
const python = [own, 'python3'].find(program => spawnSync(program, ['-c', 'import cryptography']).status === 0)

/** For `{ skip }`: why the thief can't run here. */
export const noThief = python === undefined && 'python3 with the package "cryptography" is not installed'

export interface Loot {
  readonly wrapped: readonly {
    readonly accountId: string
    readonly generation: number
    readonly kekId: string
    readonly opened: boolean
  }[]
  readonly opened: readonly { readonly accountId: string; readonly blobId: string; readonly kind: string }[]
  readonly closed: number
  /** Everything that was opened, in one text. */
  readonly plaintext: string
}

/** The thief of examples/decoder on a copy of a data folder, with what else they are given. */
export async function thief(copy: string, ...more: string[]): Promise<Loot> {
  const out = await mkdtemp(join(tmpdir(), 'ownkey-loot-'))
  try {
    const args = [script, copy, '--out', out, ...more]
    const { stdout } = await promisify(execFile)(python ?? 'python3', args, { maxBuffer: 64 * 1024 * 1024 })
    const files = await Promise.all((await readdir(out)).map(name => readFile(join(out, name), 'latin1')))
    return { ...(JSON.parse(stdout) as Omit<Loot, 'plaintext'>), plaintext: files.join('\n') }
  } finally {
    await rm(out, { recursive: true, force: true })
  }
}
