import assert from 'node:assert/strict'
import { copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { EMBEDDED_BASE } from '../../src/engines/catalogue.ts'
import { startCloudProcess } from '../../src/harness/cloud-process.ts'
import { ownkey } from '../audit/ownkey.fixture.ts'
import { Azure } from '../support/azure.ts'

const folder = await mkdtemp(join(tmpdir(), 'ownkey-models-backup-'))
after(() => rm(folder, { recursive: true, force: true }))
const [dataDir, target, restored] = ['cloud', 'backup', 'restored'].map(name => join(folder, name)) as [
  string,
  string,
  string,
]

test('a backup has the names of base models, and a restore says whose weights are not there and where they go', async t => {
  const mine = join(folder, 'mine.gguf')
  await copyFile(EMBEDDED_BASE.path, mine)
  for (const words of [
    ['--name', 'own', '--copy'],
    ['--name', 'elsewhere'],
  ])
    assert.equal((await ownkey('models', 'add', mine, ...words, '--data-dir', dataDir)).code, 0)
  const cloud = await startCloudProcess(dataDir)
  const account = await (await Azure.in(cloud.endpoints)).account('basic')
  assert.equal((await account.deploy('d', 'own')).status, 201)
  assert.equal((await ownkey('backup', dataDir, target)).code, 0)
  await cloud.stop()
  const rootKey = ['--root-key', join(dataDir, 'root.key')]
  const { code, output, errors } = await ownkey('restore', target, restored, ...rootKey)
  assert.equal(code, 0, errors)
  assert.equal(
    await readFile(join(restored, 'models.yaml'), 'utf8'),
    await readFile(join(dataDir, 'models.yaml'), 'utf8'),
  )
  const weights = join(restored, 'models', 'own.gguf')
  assert.ok(
    output.replaceAll(/\s+/g, ' ').includes(`own: put its weights at ${weights} (SHA-256 ${EMBEDDED_BASE.sha256})`),
    output,
  )
  assert.match(output, /\.\/ownkey models remove own --data-dir/)
  assert.doesNotMatch(output, /elsewhere/)
  assert.match(
    (await ownkey('start', '--data-dir', restored, '--port', '0', '--new-ca')).errors,
    /base model own can't be/,
  )
  await mkdir(join(restored, 'models'), { mode: 0o700 })
  await copyFile(mine, weights)
  const again = await startCloudProcess(restored, ['--new-ca'])
  t.after(() => again.stop())
  const listed = await ownkey('models', 'list', '--data-dir', restored)
  assert.equal(listed.code, 0, listed.output)
})
