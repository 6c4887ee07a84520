import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { readEndpoints } from '../../src/base/endpoints.ts'
import { landlockVersion } from '../../src/engines/sandbox/landlock.ts'

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
const older = fileURLToPath(new URL('./older-kernel.ts', import.meta.url))
const NO_FILES = /Engines may read every file that this service may.*no Landlock.*Linux 5\.13/s
const NO_CALLS = /Engines may open connections and start programs.*no seccomp/s

const hasLandlock = process.platform === 'linux' && landlockVersion() !== undefined
const skip = hasLandlock ? false : 'only a kernel with Landlock can play one without'

/** Words that run the command line on a kernel without these. */
const on = (lacks: string, ...words: string[]): string[] => [
  '--no-warnings',
  older,
  lacks,
  process.execPath,
  cli,
  ...words,
]

/** What a cloud says in its first seconds. */
async function saidAtStart(lacks: string): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), 'ownkey-older-'))
  const child = spawn(process.execPath, on(lacks, 'start', '--data-dir', dataDir, '--port', '0'), {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const said: string[] = []
  child.stderr.on('data', (text: Buffer) => said.push(text.toString()))
  const ended = once(child, 'exit')
  while ((await readEndpoints(dataDir).catch(() => undefined)) === undefined && child.exitCode === null)
    await new Promise(resolve => setTimeout(resolve, 50))
  for (let looks = 0; looks < 100 && said.length === 0; looks++) await new Promise(resolve => setTimeout(resolve, 100))
  child.kill('SIGTERM')
  await ended
  await rm(dataDir, { recursive: true, force: true })
  return said.join('')
}

/** Exit code and words of a command. */
function ran(lacks: string, ...words: string[]): { status: number | null; text: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, on(lacks, ...words), { encoding: 'utf8' })
  return { status, text: `${stdout}${stderr}`.replaceAll(/\s+/g, ' ') }
}

test('where the kernel has Landlock and seccomp, doctor says that engines are confined by both', { skip }, () => {
  const { text } = ran('', 'doctor')
  assert.match(text, /ok engines are confined by Landlock \d+ and seccomp/)
})

test(
  'a kernel without Landlock or without seccomp is named at the start and by doctor, with what to do',
  { skip },
  async () => {
    assert.match(await saidAtStart('landlock'), NO_FILES)
    const noFiles = ran('landlock', 'doctor')
    assert.equal(noFiles.status, 1)
    assert.match(noFiles.text, /lacking engines are confined by seccomp/)
    assert.match(noFiles.text, NO_FILES)
    const nothing = ran('landlock,filter', 'doctor')
    assert.match(nothing.text, /engines are confined by nothing/)
    assert.match(nothing.text, NO_CALLS)
  },
)

test('engines run on such kernels all the same', { skip }, async t => {
  const dataDir = await mkdtemp(join(tmpdir(), 'ownkey-older-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  for (const lacks of ['landlock', 'filter', 'landlock,filter']) {
    const { status, text } = ran(lacks, 'models', 'check', 'ownkey-tiny-chat', '--data-dir', dataDir)
    assert.equal(status, 0, `${lacks}: ${text}`)
    assert.match(text, /answered \S/)
  }
})
