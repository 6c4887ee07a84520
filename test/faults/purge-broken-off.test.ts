import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Azure, pause } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const FILES = 6
const folder = await mkdtemp(join(tmpdir(), 'ownkey-die-'))
const control = join(folder, 'die-at')
const before = process.env['NODE_OPTIONS']
process.env['OWNKEY_TEST_DIE_AT'] = control
process.env['NODE_OPTIONS'] = `--import=${new URL('../support/die-at-commit.mjs', import.meta.url).href}`
after(async () => {
  if (before === undefined) delete process.env['NODE_OPTIONS']
  else process.env['NODE_OPTIONS'] = before
  await rm(folder, { recursive: true, force: true })
})

test('a purge that a kill broke off among the files goes on at the next start, which misses none of them', async () => {
  const cloud = await cloudFor({ after })
  const azure = await Azure.in(cloud.endpoints)
  const account = await azure.account('going')
  for (let n = 0; n < FILES; n += 1) await account.upload(`file ${n}`)
  const { location } = cloud.endpoints
  const deleted = `/providers/Microsoft.CognitiveServices/locations/${location}/resourceGroups/${azure.group}/deletedAccounts/going`
  await azure.arm('DELETE', azure.accountPath('going'))
  while ((await azure.arm('GET', deleted)).status !== 200) await pause(20)
  // After the commit that destroys the keys the files are removed, one by one.
  await writeFile(control, '4')
  await azure.arm('DELETE', deleted).catch(() => undefined)
  await cloud.kill()
  await rm(control, { force: true })
  const blobs = join(cloud.dataDir, 'blobs')
  const files = (await readdir(blobs, { recursive: true, withFileTypes: true })).filter(entry => entry.isFile())
  assert.equal(files.length, FILES)
  for (const { parentPath, name } of files.slice(2)) await rm(join(parentPath, name))
  const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
  const { status, stdout } = spawnSync(process.execPath, [cli, 'verify', '--data-dir', cloud.dataDir, '--whole'])
  assert.equal(status, 0, String(stdout))
  const backup = spawnSync(process.execPath, [cli, 'backup', cloud.dataDir, join(folder, 'backup')])
  assert.equal(backup.status, 0, String(backup.stdout) + String(backup.stderr))
  await cloud.restart('kill')
  for (let n = 0; n < 200 && (await azure.arm('GET', deleted)).status !== 404; n += 1) await pause(50)
  assert.equal((await azure.arm('GET', deleted)).status, 404)
  const left = (await readdir(blobs, { recursive: true, withFileTypes: true })).filter(entry => entry.isFile())
  assert.deepEqual(
    left.map(({ name }) => name),
    [],
  )
})
