import assert from 'node:assert/strict'
import { spawn, spawnSync, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'

export const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))

export interface Said {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** Runs the command line to its end, its output into pipes; a command that runs on is ended after a minute. */
export async function say(args: readonly string[], options: SpawnOptions = {}): Promise<Said> {
  const child = spawn(process.execPath, [cli, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
    ...options,
  })
  return ended(child)
}

export async function ended(child: ChildProcess): Promise<Said> {
  let [out, err] = ['', '']
  child.stdout?.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => (err += chunk.toString()))
  const code = await new Promise<number | null>(resolve => child.once('close', status => resolve(status)))
  return { code, out, err }
}

/** No line is wider than 80 columns; `but` says which may be: a path that is one long word. */
export function assertFits(text: string, but: (line: string) => boolean = () => false): void {
  const wide = text.split('\n').filter(line => Array.from(line).length > 80 && !but(line))
  assert.deepEqual(wide, [])
}

/** Error messages of the operating system, as programs print them that do not think of people. */
const RAW = /\bE[A-Z]{3,}\b|no such file or directory|syscall|\bat .*\.ts:\d|Error:|\bundefined\b|\[object/

/** One or two lines for people on stderr, nothing on stdout. */
export function assertRefused(
  { code, out, err }: Said,
  wanted: { readonly code: number; readonly says: RegExp },
): void {
  assert.equal(code, wanted.code, err)
  assert.equal(out, '')
  assert.match(err, /^ownkey: \S/)
  assert.match(err.replaceAll(/\n */g, ' '), wanted.says)
  assert.doesNotMatch(err, RAW)
  assertFits(err, line => /\S{60}/.test(line))
}

export async function folderFor(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'ownkey-cli-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

/** For `{ skip }`: false where the program is there. */
export function lacks(program: string): string | false {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0 ? false : `${program} is not installed`
}

/** For `{ skip }`: only root can run a command as somebody else. */
export const notRoot = process.getuid?.() === 0 ? false : 'needs root, to run as another user'
/** The user and group `nobody` of Debian. */
export const NOBODY = { uid: 65_534, gid: 65_534 }
