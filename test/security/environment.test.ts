import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Azure, pause } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { childrenOf, engineProcesses } from '../support/engine-processes.ts'

const folder = await mkdtemp(join(tmpdir(), 'ownkey-environment-'))
after(() => rm(folder, { recursive: true, force: true }))
const rootKey = randomBytes(32).toString('base64')
const told = join(folder, 'environment')
const program = join(folder, 'keep-head')
await writeFile(
  program,
  `#!/bin/sh\nenv > '${folder}/of-program'\n[ "$1" = read ] && { cat '${folder}/head' 2>/dev/null; exit 0; }\nexec cat > '${folder}/head'\n`,
)
await chmod(program, 0o700)

/** Process ids of a process's children, theirs included. */
function descendants(pid: number): number[] {
  return childrenOf(pid).flatMap(child => [child, ...descendants(child)])
}

const environmentOf = (pid: number): Promise<string> => readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '')

test('OWNKEY_ROOT_KEY is in no environment except the one that the service was started with', async t => {
  const before = { ...process.env }
  t.after(() => {
    for (const name of ['OWNKEY_ROOT_KEY', 'NODE_OPTIONS', 'OWNKEY_TEST_ENVIRONMENT_FILE'])
      if (before[name] === undefined) delete process.env[name]
      else process.env[name] = before[name]
  })
  const preload = new URL('../support/tell-environment.mjs', import.meta.url).href
  process.env['OWNKEY_ROOT_KEY'] = rootKey
  process.env['OWNKEY_TEST_ENVIRONMENT_FILE'] = told
  process.env['NODE_OPTIONS'] = `${before['NODE_OPTIONS'] ?? ''} --import=${preload}`
  const cloud = await cloudFor(t, ['--freshness', `command:${program}`])
  const account = await (await Azure.in(cloud.endpoints)).account('environment')
  // /proc shows the original environment, which proves that the test looks in the right place.
  assert.ok((await environmentOf(cloud.pid)).includes(rootKey))
  assert.ok(!existsSync(join(cloud.dataDir, 'root.key')))

  const file = await account.upload()
  const done = await account.jobIs(await account.train(file), ['succeeded'])
  assert.equal((await account.deploy('served', done.fine_tuned_model ?? '')).status, 201)
  await account.chat('served')
  await account.train(file, { hyperparameters: { n_epochs: 1000, batch_size: 1 } })
  while (engineProcesses(cloud.pid, 'trainer') === 0) await pause(20)
  const children = descendants(cloud.pid)
  assert.ok(engineProcesses(cloud.pid, 'inference') > 0 && children.length >= 2, children.join(' '))
  for (const pid of children) assert.doesNotMatch(await environmentOf(pid), /OWNKEY_/, String(pid))

  assert.match(await readFile(join(folder, 'of-program'), 'utf8'), /^PATH=/m)
  assert.ok(!(await readFile(join(folder, 'of-program'), 'utf8')).includes(rootKey))
  process.kill(cloud.pid, 'SIGUSR2')
  while (!existsSync(told)) await pause(20)
  const own = JSON.parse(await readFile(told, 'utf8')) as Record<string, string>
  assert.equal(own['OWNKEY_TEST_ENVIRONMENT_FILE'], told)
  assert.ok(!JSON.stringify(own).includes(rootKey))
})
