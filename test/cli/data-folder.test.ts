import assert from 'node:assert/strict'
import { chmod, chown, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { cloudFor } from '../support/cloud.ts'
import { assertFits, assertRefused, folderFor, NOBODY, notRoot, say } from './command-line.fixture.ts'

/** Commands that need a running cloud, and those that read its folder. */
const ONLINE: readonly (readonly string[])[] = [
  ['prove'],
  ['re-encrypt', '--account', 'contoso'],
  ['clock'],
  ['clock', 'advance', '1d'],
  ['env'],
  ['env', '--format', 'az'],
]
const OFFLINE: readonly (readonly string[])[] = [
  ['audit'],
  ['audit', 'verify'],
  ['verify'],
  ['prove', '--deleted', 'file-1'],
]
const AUTHORITY: readonly (readonly string[])[] = [['trust'], ['doctor', '--port', '0']]
const ALL = [...ONLINE, ...OFFLINE, ...AUTHORITY]

test('a data folder that is not there: every command says so, and how a cloud is started in it', async t => {
  const missing = join(await folderFor(t), 'no cloud')
  for (const words of ALL) {
    const said = await say([...words, '--data-dir', missing])
    assertRefused(said, { code: 1, says: /There is no folder .*no cloud\. .*\.\/ownkey start --data-dir '.*no cloud'/ })
  }
})

test('a file, a link that leads nowhere or below a file: every command says that a folder is needed', async t => {
  const folder = await folderFor(t)
  await writeFile(join(folder, 'file'), '')
  await symlink('loop', join(folder, 'loop'))
  await symlink('gone', join(folder, 'nowhere'))
  for (const words of [['start', '--port', '0'], ...ALL]) {
    const file = await say([...words, '--data-dir', join(folder, 'file')])
    assertRefused(file, { code: 1, says: /file is a file where a folder must be/ })
  }
  for (const words of [['start', '--port', '0'], ['prove'], ['audit'], ['trust']]) {
    const below = await say([...words, '--data-dir', join(folder, 'file/cloud')])
    assertRefused(below, { code: 1, says: /leads through a file/ })
    const nowhere = await say([...words, '--data-dir', join(folder, 'nowhere')])
    assertRefused(nowhere, { code: 1, says: /nowhere is a link that leads nowhere/ })
    const loop = await say([...words, '--data-dir', join(folder, 'loop')])
    assertRefused(loop, { code: 1, says: /a link that leads to itself/ })
  }
})

test('a data folder that can’t be made: start says why, at once, below a file system of the kernel too', async t => {
  const folder = await folderFor(t)
  await symlink('/nowhere/at/all', join(folder, 'link'))
  for (const [path, says] of [
    ['/proc/cloud', /The folder \/proc\/cloud can't be made/],
    ['/proc/a/b/cloud', /can't be made/],
    [join(folder, 'link'), /link can't be made: .*link is a link that leads nowhere/],
    [join(folder, 'link/cloud'), /link is a link that leads nowhere/],
  ] as const)
    assertRefused(await say(['start', '--port', '0', '--data-dir', path], { timeout: 20_000 }), { code: 1, says })
})

test('start refuses a folder that holds something else, and changes nothing in it', async t => {
  const folder = await folderFor(t)
  await writeFile(join(folder, 'thesis.tex'), 'x')
  await writeFile(join(folder, 'lock'), 'x')
  const said = await say(['start', '--port', '0', '--data-dir', folder])
  assertRefused(said, { code: 1, says: /holds something else \(thesis\.tex\)\. Name a folder that is empty/ })
  assert.deepEqual((await readdir(folder)).toSorted(), ['lock', 'thesis.tex'])
  for (const words of ALL) {
    const other = await say([...words, '--data-dir', folder])
    assertRefused(other, { code: 1, says: /is not the data folder of a cloud|is not a cloud's: it has no ca/ })
  }
  assert.deepEqual((await readdir(folder)).toSorted(), ['lock', 'thesis.tex'])
})

test('a folder that this user may not use: every command says whose it must be', { skip: notRoot }, async t => {
  const outer = await folderFor(t)
  await chmod(outer, 0o755)
  const [closed, readOnly] = [join(outer, 'closed'), join(outer, 'read-only')]
  await mkdir(closed, { mode: 0o700 })
  await mkdir(readOnly, { mode: 0o755 })
  const env = { ...process.env, HOME: outer }
  for (const words of [['start', '--port', '0'], ...ALL]) {
    const said = await say([...words, '--data-dir', closed], { ...NOBODY, env })
    assertRefused(said, { code: 1, says: /This user may not look into .*closed: run this as its owner/ })
  }
  for (const folder of [readOnly, join(readOnly, 'new')]) {
    const said = await say(['start', '--port', '0', '--data-dir', folder], { ...NOBODY, env })
    assertRefused(said, {
      code: 1,
      says: /This user (may not use|must own)|can't be (locked|closed)|can't be made: this user may not write to/,
    })
  }
  await writeFile(join(readOnly, 'records.db'), '')
  await writeFile(join(readOnly, 'root.key'), '', { mode: 0o600 })
  for (const words of [['start', '--port', '0'], ...OFFLINE]) {
    const said = await say([...words, '--data-dir', readOnly], { ...NOBODY, env })
    assertRefused(said, { code: 1, says: /This user (may not use|must own)|can't be (locked|closed)/ })
  }
})

test('a stopped cloud: what needs it says how to start it and what works without it, which does', async t => {
  const cloud = await cloudFor(t)
  const { dataDir } = cloud
  for (const how of ['stopped', 'killed'] as const) {
    if (how === 'stopped') await cloud.stop()
    else {
      await cloud.restart('clean')
      await cloud.kill()
    }
    for (const words of ONLINE) {
      const said = await say([...words, '--data-dir', dataDir])
      assertRefused(said, { code: 1, says: /^ownkey: No cloud runs in .*\. Start it: \.\/ownkey start --data-dir \// })
      assert.match(said.err, /Without it work: audit, verify, backup, prove --deleted ID, trust, doctor\.\n$/)
    }
    for (const words of [['audit'], ['audit', 'verify'], ['doctor', '--port', '0']]) {
      const { out, err } = await say([...words, '--data-dir', dataDir])
      assert.equal(err, '', words.join(' '))
      assert.notEqual(out, '')
      assertFits(out, line => /\S{60}/.test(line))
    }
    const deleted = await say(['prove', '--deleted', 'file-1', '--data-dir', dataDir])
    assert.deepEqual([deleted.code, deleted.err], [1, ''])
    assert.match(deleted.out, /no record of 'file-1'/)
  }
  await writeFile(join(dataDir, 'endpoints.json'), '{')
  for (const words of ONLINE)
    assertRefused(await say([...words, '--data-dir', dataDir]), { code: 1, says: /endpoints\.json is damaged/ })
})

test('a second start in a folder, a port in use and one of root: start says which, and what to do', async t => {
  const cloud = await cloudFor(t)
  const again = await say(['start', '--data-dir', cloud.dataDir])
  assertRefused(again, { code: 1, says: /is in use by another OwnKey, process \d+\. Stop that one first/ })
  const folder = await folderFor(t)
  const { port } = cloud.endpoints
  const taken = await say(['start', '--data-dir', join(folder, 'a'), '--port', String(port)])
  assertRefused(taken, { code: 1, says: new RegExp(`Port ${port} is in use by another program\\. Stop it, or`) })
  await rm(join(folder, 'a'), { recursive: true })
  // As between its start and its first answer.
  await rm(join(cloud.dataDir, 'endpoints.json'))
  const early = await say(['audit', '--data-dir', cloud.dataDir])
  assertRefused(early, { code: 1, says: /is starting or stopping\. Try again in a moment/ })
})

test('a port of root: start and doctor say so', { skip: notRoot || (await noRootPorts()) }, async t => {
  const folder = await folderFor(t)
  await chown(folder, NOBODY.uid, NOBODY.gid)
  const options = { ...NOBODY, env: { ...process.env, HOME: folder } }
  const said = await say(['start', '--data-dir', join(folder, 'cloud'), '--port', '443'], options)
  assertRefused(said, { code: 1, says: /Port 443 may be used by root alone\. Choose one from 1024 on/ })
  const { out } = await say(['doctor', '--port', '443'], options)
  assert.match(out, /^lacking +port 443 may be used by root alone/m)
})

/** For `{ skip }`: some containers let everybody use every port. */
async function noRootPorts(): Promise<string | false> {
  const { readFile } = await import('node:fs/promises')
  const first = await readFile('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8').catch(() => '1024')
  return Number(first) > 443 ? false : 'this machine has no ports of root alone'
}

test('doctor says whose port it is not', async t => {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const { port } = server.address() as { port: number }
  const { out } = await say(['doctor', '--port', String(port)])
  assert.match(out, new RegExp(`^lacking +port ${port} is in use\\n +Start with --port 0, or another port`, 'm'))
  assertFits(out)
})

test('files that start reads: one that is missing, a folder, closed or empty is named, and no folder is made', async t => {
  const folder = await folderFor(t)
  const cloud = join(folder, 'cloud')
  await writeFile(join(folder, 'empty'), '', { mode: 0o600 })
  await writeFile(join(folder, 'pin'), '1234', { mode: 0o600 })
  const start = (...args: string[]) => say(['start', '--port', '0', '--data-dir', cloud, ...args])
  assertRefused(await start('--seed', join(folder, 'none')), { code: 1, says: /There is no .*none/ })
  assertRefused(await start('--seed', folder), { code: 1, says: /^ownkey: \/\S+ is a folder where a file must be/ })
  assert.deepEqual(await readdir(folder), ['empty', 'pin'])
  const token = (module: string, pin: string) =>
    start('--pkcs11-module', join(folder, module), '--pkcs11-pin-file', join(folder, pin))
  assertRefused(await token('none.so', 'pin'), { code: 1, says: /none\.so/ })
  assertRefused(await token('empty', 'pin'), { code: 1, says: /empty/ })
  assertRefused(await start('--diagnostics-dir', join(folder, 'empty')), { code: 1, says: /empty is a file/ })
})
