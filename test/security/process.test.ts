import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { readEndpoints } from '../../src/base/endpoints.ts'
import { cloudFor } from '../support/cloud.ts'

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))

function answers(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => resolve(true))
    socket.once('error', () => resolve(false)).once('connect', () => socket.destroy())
  })
}

test('the process of a cloud dumps no core, and no signal makes it a debugger`s', async t => {
  const cloud = await cloudFor(t)
  assert.match(await readFile(`/proc/${cloud.pid}/limits`, 'utf8'), /^Max core file size +0 +/m)
  assert.match(await readFile(`/proc/${cloud.pid}/cmdline`, 'utf8'), /--disable-sigusr1/)
  const before = await answers(9229)
  process.kill(cloud.pid, 'SIGUSR1')
  await new Promise(resolve => setTimeout(resolve, 300))
  assert.equal(await answers(9229), before)
  const health = await fetch(`${cloud.endpoints.resourceManager}/health`)
  assert.equal(health.status, 200)
})

/** Addresses (in hex, as the kernel writes them) on which the process itself listens. */
async function listeningAddresses(pid: number): Promise<string[]> {
  const links = await Promise.all(
    (await readdir(`/proc/${pid}/fd`)).map(fd => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')),
  )
  const own = new Set(links.flatMap(link => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []))
  const tables = await Promise.all(['tcp', 'tcp6'].map(name => readFile(`/proc/${pid}/net/${name}`, 'utf8')))
  // sl, local address, remote address, state (0A: listening), …, inode.
  const rows = tables.flatMap(table =>
    table
      .split('\n')
      .slice(1)
      .map(line => line.trim().split(/\s+/)),
  )
  return rows.flatMap(([, local = '', , state, , , , , , inode = '']) =>
    state === '0A' && own.has(inode) ? [local.split(':')[0] ?? ''] : [],
  )
}

test('the process of a cloud listens on loopback alone', async t => {
  const cloud = await cloudFor(t)
  const found = await listeningAddresses(cloud.pid)
  assert.ok(found.length >= 2, found.join(' '))
  const loopback = ['0100007F', '00000000000000000000000001000000']
  assert.deepEqual(
    found.filter(address => !loopback.includes(address)),
    [],
  )
})

test('a data folder that others may read is closed to them, with a line that says so', async t => {
  const dataDir = await mkdtemp(join(tmpdir(), 'ownkey-modes-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  await writeFile(join(dataDir, 'root.key'), `${randomBytes(32).toString('base64')}\n`)
  await chmod(join(dataDir, 'root.key'), 0o644)
  await chmod(dataDir, 0o755)
  const child = spawn(process.execPath, [cli, 'start', '--data-dir', dataDir, '--port', '0'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (text: Buffer) => (said += text.toString()))
  const ended = once(child, 'exit')
  while ((await readEndpoints(dataDir).catch(() => undefined)) === undefined && child.exitCode === null)
    await new Promise(resolve => setTimeout(resolve, 50))
  child.kill('SIGTERM')
  await ended
  const mode = async (path: string): Promise<string> => ((await stat(path)).mode & 0o777).toString(8)
  assert.equal(await mode(dataDir), '700')
  assert.equal(await mode(join(dataDir, 'root.key')), '600')
  assert.match(said, /was open to other users.*755.*root\.key.*644/s)
})
