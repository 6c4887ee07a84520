import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmod,
  copyFile,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parse, stringify } from 'yaml'
import { EMBEDDED_BASE } from '../../src/engines/catalogue.ts'
import { startCloudProcess } from '../../src/harness/cloud-process.ts'
import { ownkey } from '../audit/ownkey.fixture.ts'
import { smallDisk } from '../faults/small-disk.ts'
import { Azure, refusal } from '../support/azure.ts'
import { noSmallDisk } from '../support/small-machine.ts'

const folder = await mkdtemp(join(tmpdir(), 'ownkey-hostile-models-'))
after(() => rm(folder, { recursive: true, force: true }))
const model = join(folder, 'Some Model.Q8_0.gguf')
await copyFile(EMBEDDED_BASE.path, model)

let count = 0
/** A data folder with nothing in it. */
async function cloudFolder(): Promise<string> {
  const dataDir = join(folder, `cloud-${(count += 1)}`)
  await mkdir(dataDir, { mode: 0o700 })
  return dataDir
}

const models = (dataDir: string, ...words: string[]) => ownkey('models', ...words, '--data-dir', dataDir)
const inOneLine = (text: string): string => text.replaceAll(/\s+/g, ' ')
const entriesOf = async (dataDir: string): Promise<{ name: string; file: string }[]> => {
  const text = await readFile(join(dataDir, 'models.yaml'), 'utf8').catch(() => 'models: []')
  return (parse(text) as { models: { name: string; file: string }[] }).models
}

async function refused(dataDir: string, words: readonly string[], message: RegExp): Promise<void> {
  const before = await readFile(join(dataDir, 'models.yaml'), 'utf8').catch(() => '')
  const { code, errors } = await models(dataDir, ...words)
  assert.notEqual(code, 0)
  assert.match(inOneLine(errors), message)
  assert.equal(await readFile(join(dataDir, 'models.yaml'), 'utf8').catch(() => ''), before)
}

test('without --name a base is named after its file, and says no more than 80 columns a line', async () => {
  const dataDir = await cloudFolder()
  const { code, output, errors } = await models(dataDir, 'add', model)
  assert.equal(code, 0, errors)
  assert.match(output, /^Added some-model\.q8_0\.\n/)
  const listed = await models(dataDir, 'list')
  for (const line of `${output}${listed.output}`.split('\n'))
    assert.ok(line.length <= 80 || /\.\/ownkey|gguf/.test(line), line)
})

test(
  'what is not a file is refused at once: a folder, a FIFO, a device, a link to itself',
  { timeout: 180_000 },
  async () => {
    const dataDir = await cloudFolder()
    const fifo = join(folder, 'fifo.gguf')
    execFileSync('mkfifo', [fifo])
    await symlink('loop.gguf', join(folder, 'loop.gguf'))
    for (const path of [folder, fifo, '/dev/zero']) await refused(dataDir, ['add', path], / is not a file\./)
    await refused(dataDir, ['add', join(folder, 'loop.gguf')], /is a link that leads to itself/)
    assert.equal((await models(dataDir, 'add', model, '--name', 'mine')).code, 0)
    const [entry] = await entriesOf(dataDir)
    await writeFile(join(dataDir, 'models.yaml'), stringify({ models: [{ ...entry, file: fifo }] }))
    const listed = await models(dataDir, 'list')
    assert.equal(listed.code, 1)
    assert.match(inOneLine(listed.output), /mine changed: .*fifo\.gguf is not the file that was added/)
    assert.match(
      inOneLine((await models(dataDir, 'check', 'mine')).errors),
      /fifo\.gguf is not the file that was added/,
    )
  },
)

test('a template that never ends is refused when its base is added, with why', { timeout: 180_000 }, async () => {
  const dataDir = await cloudFolder()
  const bytes = await readFile(model)
  const at = bytes.indexOf('{% for message in messages %}')
  const length = Number(bytes.readBigUInt64LE(at - 8))
  const endless =
    '{% macro m(n) %}{% for i in range(999) %}{% if n %}{{ m(n - 1) }}{% endif %}{% endfor %}{% endmacro %}{{ m(9) }}'
  bytes.write(endless.padEnd(length), at)
  const path = join(folder, 'endless.gguf')
  await writeFile(path, bytes)
  await refused(
    dataDir,
    ['add', path, '--name', 'e'],
    /chat template of the model can't be used: it takes longer than 5 s/,
  )
})

test('names: an alias is not removed by itself, and upper and lower case make no second name', async () => {
  const dataDir = await cloudFolder()
  assert.equal((await models(dataDir, 'add', model, '--name', 'mine', '--alias', 'gpt-4o')).code, 0)
  await refused(dataDir, ['remove', 'gpt-4o'], /gpt-4o is an alias of the base model mine.*: remove that one/)
  await refused(dataDir, ['remove', EMBEDDED_BASE.name], /comes with OwnKey and can't be removed/)
  await refused(dataDir, ['add', model, '--name', 'Mine'], /There is a base model mine already/)
  await refused(dataDir, ['add', model, '--name', 'GPT-4o'], /GPT-4o is a name of the base model mine already/)
  await refused(dataDir, ['add', model, '--name', 'OwnKey-Tiny-Chat'], /There is a base model ownkey-tiny-chat already/)
  await refused(dataDir, ['add', model, '--name', 'other', '--alias', 'a,A'], /must differ/)
  await refused(dataDir, ['add', model, '--name', 'x'.repeat(65)], /can't be a model's name/)
  await refused(dataDir, ['add', model, '--name', 'x', '--licence', 'x'.repeat(300)], /licence: Too big/)
  await refused(dataDir, ['add', model, '--name', 'x', '--sha256', '00'], /must be 64 hexadecimal digits/)
  await refused(
    dataDir,
    ['add', model, '--name', 'x', '--sha256', '0'.repeat(64), '--copy'],
    /another file than it should be/,
  )
  assert.deepEqual(await readdir(join(dataDir, 'models', '.incoming')), [])
})

test('bases that are added at the same time are all there', async () => {
  const dataDir = await cloudFolder()
  const names = ['a', 'b', 'c', 'd']
  const results = await Promise.all(names.map(name => models(dataDir, 'add', model, '--name', name, '--copy')))
  for (const { code, errors } of results) assert.equal(code, 0, errors)
  const entries = await entriesOf(dataDir)
  assert.deepEqual(entries.map(({ name }) => name).toSorted(), names)
  assert.equal(new Set(entries.map(({ file }) => file)).size, 4)
  for (const { file } of entries) await stat(join(dataDir, file))
})

test('copies of files of one name do not replace each other, and each goes with its own base', async () => {
  const dataDir = await cloudFolder()
  const other = join(await mkdtemp(join(folder, 'other-')), basename(model))
  await copyFile(model, other)
  await truncate(other, (await stat(other)).size + 32)
  for (const [path, name] of [
    [model, 'one'],
    [other, 'two'],
  ] as const)
    assert.equal((await models(dataDir, 'add', path, '--name', name, '--copy')).code, 0)
  assert.equal((await models(dataDir, 'list')).code, 0)
  assert.equal((await models(dataDir, 'remove', 'one')).code, 0)
  assert.equal((await models(dataDir, 'list')).code, 0)
})

test('remove deletes no file but one of the cloud`s own, whatever models.yaml says', async () => {
  const dataDir = await cloudFolder()
  assert.equal((await models(dataDir, 'add', model, '--name', 'mine', '--copy')).code, 0)
  const [entry] = await entriesOf(dataDir)
  const precious = join(folder, 'precious')
  await writeFile(precious, 'x')
  await writeFile(join(dataDir, 'records.db'), '')
  const paths = [
    'models/../../precious',
    '../precious',
    precious,
    'models/../records.db',
    'models/./mine.gguf',
    'models/.incoming/../../records.db',
  ]
  for (const file of paths) {
    await writeFile(join(dataDir, 'models.yaml'), stringify({ models: [{ ...entry, file }] }))
    assert.equal((await models(dataDir, 'remove', 'mine')).code, 0)
    for (const kept of [precious, join(dataDir, 'records.db'), join(dataDir, 'models', 'mine.gguf')]) await stat(kept)
  }
})

test(
  'a models.yaml that can`t be is refused with what is wrong, by every command, and never waited for',
  { timeout: 180_000 },
  async () => {
    const dataDir = await cloudFolder()
    const path = join(dataDir, 'models.yaml')
    assert.equal((await models(dataDir, 'add', model, '--name', 'mine', '--alias', 'also')).code, 0)
    const [entry] = await entriesOf(dataDir)
    let asked: readonly (readonly string[])[] = [['list'], ['remove', 'mine'], ['add', model, '--name', 'x']]
    const broken = async (text: string, message: RegExp): Promise<void> => {
      await writeFile(path, text)
      for (const words of asked) {
        const { code, errors } = await models(dataDir, ...words)
        assert.equal(code, 1)
        assert.match(inOneLine(errors), message)
      }
      assert.equal(await readFile(path, 'utf8'), text)
      asked = [['list']]
    }
    await broken(stringify({ models: [entry, structuredClone(entry)] }), /two base models have the name or alias mine/)
    await broken(
      stringify({ models: [{ ...structuredClone(entry), name: 'also' }, entry] }),
      /two base models have the name or alias also/,
    )
    await broken(stringify({ models: [{ ...entry, name: EMBEDDED_BASE.name }] }), /name or alias ownkey-tiny-chat/)
    await broken(stringify({ models: [], colour: 'red' }), /models\.yaml: Unrecognized key: "colour"/)
    await broken('a: &a [1,1]\nmodels: [*a,*a]\n', /it is nested too deep or has anchors/)
    await broken('['.repeat(50_000), /models\.yaml: it is not/)
    await broken('#'.repeat(1_100_000), /more than 1048576 bytes/)
    await rm(path)
    execFileSync('mkfifo', [path])
    assert.match(inOneLine((await models(dataDir, 'list')).errors), /models\.yaml: it is not a file/)
  },
)

test(
  'a file that this user may not read is refused with what to do',
  { skip: process.getuid?.() === 0 && 'root may read everything' },
  async () => {
    const dataDir = await cloudFolder()
    const path = join(folder, 'secret.gguf')
    await copyFile(model, path)
    await chmod(path, 0)
    await refused(dataDir, ['add', path], /This user may not use .*secret\.gguf: check its owner and mode/)
  },
)

test(
  'a disk without room for a copy is said before it is full, and nothing is left of it',
  { skip: noSmallDisk },
  async () => {
    const disk = smallDisk({ after }, 68)
    assert.ok(disk)
    const dataDir = join(disk.folder, 'cloud')
    await refused(
      dataDir,
      ['add', model, '--name', 'mine', '--copy'],
      /The disk of .* has 7\d MB left, and it takes 7\d MB/,
    )
    assert.deepEqual(await readdir(join(dataDir, 'models', '.incoming')), [])
  },
)

for (const signal of ['SIGINT', 'SIGKILL'] as const)
  test(`a copy that ${signal} breaks off leaves nothing under its name, and the next one clears up`, async () => {
    const dataDir = await cloudFolder()
    const large = join(folder, 'large.gguf')
    await cp(model, large)
    // A file may be longer than its tensors. This one is a hole of 600 MB.
    await truncate(large, 600_000_000)
    const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
    const child = spawn(process.execPath, [cli, 'models', 'add', large, '--name', 'l', '--copy', '--data-dir', dataDir])
    const isThere = () =>
      stat(join(dataDir, 'models', '.incoming', 'copy')).then(
        () => true,
        () => false,
      )
    while (!(await isThere())) await sleep(5)
    child.kill(signal)
    const [, ended] = (await once(child, 'exit')) as [number, string]
    assert.equal(ended, signal)
    assert.equal(await isThere(), signal === 'SIGKILL')
    assert.deepEqual(await entriesOf(dataDir), [])
    assert.deepEqual(
      (await readdir(join(dataDir, 'models'))).filter(name => name.endsWith('.gguf')),
      [],
    )
    assert.equal((await models(dataDir, 'add', model, '--name', 'mine')).code, 0)
    assert.equal(await isThere(), false)
    await rm(large)
  })

test('a base whose file is replaced while a cloud runs serves nothing more until it is the same file again', async t => {
  const dataDir = await cloudFolder()
  const path = join(folder, 'replaced.gguf')
  await copyFile(model, path)
  assert.equal((await models(dataDir, 'add', path, '--name', 'mine')).code, 0)
  const cloud = await startCloudProcess(dataDir, ['--key-lease-seconds', '1'])
  t.after(() => cloud.stop())
  const account = await (await Azure.in(cloud.endpoints)).account('replaced')
  account.openai.maxRetries = 0
  const bytes = await readFile(path)
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
  await writeFile(path, bytes)
  await account.deploy('d', 'mine')
  const fault = await refusal(() => account.chat('d'))
  assert.equal(fault?.status, 503)
  assert.match(fault?.message ?? '', /base model mine was changed or taken away while the service ran/)
})
