import assert from 'node:assert/strict'
import { copyFile, mkdir, mkdtemp, readFile, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { EMBEDDED_BASE } from '../../src/engines/catalogue.ts'
import { startCloudProcess } from '../../src/harness/cloud-process.ts'
import { ownkey } from '../audit/ownkey.fixture.ts'
import { Azure } from '../support/azure.ts'

const folder = await mkdtemp(join(tmpdir(), 'ownkey-sealed-base-'))
after(() => rm(folder, { recursive: true, force: true }))
const dataDir = join(folder, 'cloud')
const mine = join(folder, 'mine.gguf')
const sealed = join(dataDir, 'models', 'mine.sealed')
await copyFile(EMBEDDED_BASE.path, mine)
const models = (...words: string[]) => ownkey('models', ...words, '--data-dir', dataDir)
const inOneLine = (text: string): string => text.replaceAll(/\s+/g, ' ')
const start = () => startCloudProcess(dataDir, ['--key-lease-seconds', '1'])

async function filesWith(below: string, pieces: readonly Buffer[]): Promise<string[]> {
  const entries = await readdir(below, { recursive: true, withFileTypes: true })
  const paths = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
  const contents = await Promise.all(paths.map(path => readFile(path).catch(() => Buffer.alloc(0))))
  return paths.filter((_, index) => pieces.some(piece => contents[index]?.includes(piece)))
}

test('a base is sealed under the root key of a cloud that was started once, and only from a file', async () => {
  const before = await models('add', mine, '--name', 'mine', '--seal-base')
  assert.equal(before.code, 1)
  assert.match(inOneLine(before.errors), /root\.key is missing/)
  await (await start()).stop()
  const fetched = await models('add', 'smollm2', '--seal-base')
  assert.match(inOneLine(fetched.errors), /What is fetched lies on the disk in the clear/)
  const { code, output, errors } = await models('add', mine, '--name', 'mine', '--alias', 'gpt-4o', '--seal-base')
  assert.equal(code, 0, errors)
  assert.match(inOneLine(output), /sealed under the root key; .*mine\.gguf is still there in the clear/)
  assert.equal((await stat(sealed)).mode & 0o777, 0o600)
  const listed = await models('list')
  assert.equal(listed.code, 0, listed.output)
  assert.match(listed.output, /1,598,880 parameters, F32, mit, sealed, can be fine-tuned/)
  const checked = await models('check', 'gpt-4o')
  assert.equal(checked.code, 0, checked.errors)
  assert.match(checked.output, /answered {5}\S/)
})

test('a sealed base is fine-tuned and served, and nobody finds its weights in the folder, nor while it runs', async t => {
  const cloud = await start()
  t.after(() => cloud.stop())
  const account = await (await Azure.in(cloud.endpoints)).account('basic')
  assert.equal((await account.deploy('base', 'mine')).status, 201)
  assert.notEqual(await account.chat('base'), '')
  const job = await account.train(await account.upload('on a sealed base'), {
    model: 'gpt-4o',
    hyperparameters: { n_epochs: 1, batch_size: 4 },
  })
  const { fine_tuned_model: tuned } = await account.jobIs(job, ['succeeded'], 90)
  assert.equal((await account.deploy('tuned', tuned ?? '')).status, 201)
  assert.notEqual(await account.chat('tuned'), '')
  const weights = await readFile(EMBEDDED_BASE.path)
  // Pieces of the weights, of the vocabulary and of the header, at places that a thief would know.
  const pieces = [
    weights.subarray(0, 40),
    ...[0.3, 0.5, 0.7, 0.9].map(at => weights.subarray(Math.floor(weights.length * at)).subarray(0, 32)),
  ]
  // The operator's own file, which shows that the search finds what is there.
  assert.deepEqual(await filesWith(folder, pieces), [mine])
})

test('a sealed base opens with its own key, root key and file alone', async () => {
  const [text, bytes] = [await readFile(join(dataDir, 'models.yaml'), 'utf8'), await readFile(sealed)]
  const { atime, mtime } = await stat(sealed)
  const refused = async (message: RegExp): Promise<void> => {
    const listed = await models('list')
    assert.equal(listed.code, 1)
    assert.match(inOneLine(listed.output), message)
    const started = await ownkey('start', '--data-dir', dataDir, '--port', '0')
    assert.equal(started.code, 1)
    assert.match(inOneLine(started.errors), /base model mine can't be used/)
    await writeFile(join(dataDir, 'models.yaml'), text)
    await writeFile(sealed, bytes)
    await utimes(sealed, atime, mtime)
  }
  const damaged = Buffer.from(bytes)
  damaged[bytes.length >> 1] = (damaged[bytes.length >> 1] ?? 0) ^ 1
  await writeFile(sealed, damaged)
  await refused(/mine changed: .*(altered|does not open)/)
  await writeFile(sealed, bytes.subarray(0, 3_000_000))
  await refused(/mine changed: .*is not the file that was added/)
  await writeFile(join(dataDir, 'models.yaml'), text.replace(/id: [0-9a-f]{8}/, 'id: 00000000'))
  await refused(/mine changed: /)
  const root = join(dataDir, 'root.key')
  await rename(root, join(folder, 'kept'))
  await writeFile(root, `${Buffer.alloc(32, 7).toString('base64')}\n`)
  const other = await models('list')
  assert.equal(other.code, 1)
  assert.match(inOneLine(other.output), /mine changed: /)
  await rename(join(folder, 'kept'), root)
  assert.equal((await models('list')).code, 0)
})

test('removing a sealed base removes its file, and its key with its entry', async () => {
  assert.equal((await models('remove', 'mine')).code, 0)
  await assert.rejects(stat(sealed))
  assert.doesNotMatch(await readFile(join(dataDir, 'models.yaml'), 'utf8'), /sealed/)
  await mkdir(join(dataDir, 'models'), { recursive: true })
})
