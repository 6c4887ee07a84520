import assert from 'node:assert/strict'
import { copyFile, mkdtemp, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { parse, stringify } from 'yaml'
import { EMBEDDED_BASE } from '../../src/engines/catalogue.ts'
import { encodeGguf } from '../../src/engines/gguf.ts'
import { startCloudProcess } from '../../src/harness/cloud-process.ts'
import { ownkey } from '../audit/ownkey.fixture.ts'
import { Azure, refusal } from '../support/azure.ts'

const folder = await mkdtemp(join(tmpdir(), 'ownkey-models-'))
after(() => rm(folder, { recursive: true, force: true }))
const dataDir = join(folder, 'cloud')
const mine = join(folder, 'mine.gguf')
await copyFile(EMBEDDED_BASE.path, mine)

const models = (words: readonly string[]) => ownkey('models', ...words, '--data-dir', dataDir)
const add = (...words: string[]) => models(['add', ...words])

async function refused(words: readonly string[], message: RegExp): Promise<void> {
  const before = await readFile(join(dataDir, 'models.yaml'), 'utf8').catch(() => '')
  const { code, errors } = await models(words)
  assert.notEqual(code, 0)
  assert.match(errors.replaceAll(/\s+/g, ' '), message)
  assert.equal(await readFile(join(dataDir, 'models.yaml'), 'utf8').catch(() => ''), before)
}

test('a GGUF file becomes a base: listed with what it is, loaded, and asked', async () => {
  const { code, output, errors } = await add(mine, '--name', 'mine', '--alias', 'gpt-4o,gpt-4.1', '--licence', 'MIT')
  assert.equal(code, 0, errors)
  assert.match(output, /^Added mine\.\n {2}parameters {3}1,598,880, llama, F32\n/)
  for (const line of output.split('\n'))
    assert.ok(line.length <= 80 || !line.includes(' '.repeat(3)) || line.includes(mine), line)
  assert.match(output, /fine-tuning {2}yes/)
  assert.equal((await stat(join(dataDir, 'models.yaml'))).mode & 0o777, 0o600)
  const [listed] = JSON.parse((await models(['list', '--format', 'json'])).output) as { [key: string]: unknown }[]
  assert.equal(listed?.['name'], 'mine')
  assert.equal(listed?.['sha256'], EMBEDDED_BASE.sha256)
  assert.equal(listed?.['licence'], 'MIT')
  const checked = await models(['check', 'gpt-4o'])
  assert.equal(checked.code, 0, checked.errors)
  assert.match(checked.output, /answered {5}\S/)
})

test('what is not a model, or has a name that is taken, is refused, and nothing is changed', async () => {
  const cut = join(folder, 'cut.gguf')
  await writeFile(cut, (await readFile(mine)).subarray(0, 3_000_000))
  const adapter = join(folder, 'adapter.gguf')
  await writeFile(adapter, encodeGguf([{ key: 'general.type', type: 'string', value: 'adapter' }], []))
  const text = join(folder, 'text.gguf')
  await writeFile(text, 'not a model')
  const unlicensed = join(folder, 'unlicensed.gguf')
  const silent = (await readFile(mine)).toString('latin1').replace('general.license', 'general.nothing')
  await writeFile(unlicensed, silent, 'latin1')
  await refused(['add', unlicensed, '--name', 'silent'], /does not say its licence: give it with --licence/)
  await refused(['add', cut, '--name', 'cut'], /cut\.gguf can't be used: the file is cut off/)
  await refused(['add', adapter, '--name', 'adapter'], /a GGUF of the type adapter, not a model/)
  await refused(['add', text], /text\.gguf can't be used: the model file is not a GGUF/)
  await refused(['add', join(folder, 'gone.gguf')], /There is no .*gone\.gguf\. Give a GGUF file, hf:/)
  await refused(['add', 'http://example.com/a.gguf'], /fetched over https/)
  await refused(['add', mine, '--name', 'mine', '--licence', 'MIT'], /There is a base model mine already/)
  await refused(
    ['add', mine, '--name', 'other', '--alias', 'gpt-4o', '--licence', 'MIT'],
    /gpt-4o is a name of the base model mine already/,
  )
  await refused(['add', mine, '--name', 'a/b', '--licence', 'MIT'], /can't be a model's name/)
  await refused(['remove', 'nobody'], /There is no base model nobody/)
})

test('a cloud fine-tunes and serves a base that was added before its first start, under each of its names', async t => {
  const cloud = await startCloudProcess(dataDir, ['--key-lease-seconds', '1'])
  t.after(() => cloud.stop())
  const account = await (await Azure.in(cloud.endpoints)).account('basic')
  const known = (await account.openai.models.list()).data.map(({ id }) => id)
  for (const name of ['mine', 'gpt-4o', 'gpt-4.1', EMBEDDED_BASE.name]) assert.ok(known.includes(name), name)
  assert.equal((await account.deploy('by-alias', 'gpt-4o')).status, 201)
  assert.notEqual(await account.chat('by-alias'), '')
  const file = await account.upload('on my base')
  const job = await account.train(file, { model: 'gpt-4o', hyperparameters: { n_epochs: 1, batch_size: 4 } })
  const { fine_tuned_model: tuned } = await account.jobIs(job, ['succeeded'], 60)
  assert.match(tuned ?? '', /^gpt-4o\.ft-/)
  assert.equal((await account.deploy('tuned', tuned ?? '')).status, 201)
  assert.notEqual(await account.chat('tuned'), '')
  assert.equal(await cloud.stop(), 0)
})

test('a start refuses a base whose file was changed or is gone, and names it with what to do', async () => {
  const startNow = () => ownkey('start', '--data-dir', dataDir, '--port', '0')
  const bytes = await readFile(mine)
  const { mtime } = await stat(mine)
  const changed = Buffer.from(bytes)
  changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1
  await writeFile(mine, changed)
  const other = await startNow()
  assert.equal(other.code, 1)
  assert.match(
    other.errors.replaceAll(/\s+/g, ' '),
    /base model mine can't be used: .*mine\.gguf is not the file that was added/,
  )
  assert.match(other.errors, /\.\/ownkey models remove mine/)
  await rm(mine)
  assert.match(
    (await startNow()).errors.replaceAll(/\s+/g, ' '),
    /base model mine can't be used: There is no .*mine\.gguf/,
  )
  assert.equal((await models(['list'])).code, 1)
  await writeFile(mine, bytes)
  await utimes(mine, mtime, mtime)
  assert.equal((await models(['list'])).code, 0)
})

test('what was fine-tuned on a base that is taken out waits for it, and is served by no other file of that name', async t => {
  const other = join(folder, 'other.gguf')
  const weights = await readFile(mine)
  weights[weights.length - 1] = (weights.at(-1) ?? 0) ^ 1
  await writeFile(other, weights)
  const startNow = async () => {
    const cloud = await startCloudProcess(dataDir, ['--key-lease-seconds', '1'])
    t.after(() => cloud.stop())
    const account = await (await Azure.in(cloud.endpoints)).account('basic')
    account.openai.maxRetries = 0
    return { cloud, account }
  }
  const paths = { before: await readFile(join(dataDir, 'models.yaml'), 'utf8') }
  const first = await startNow()
  const file = await first.account.upload('long on my base')
  const job = await first.account.train(file, { model: 'mine', hyperparameters: { n_epochs: 60, batch_size: 2 } })
  await first.account.jobIs(job, ['running'])
  await first.cloud.stop()
  assert.equal((await models(['remove', 'mine'])).code, 0)
  const without = await startNow()
  const missing = await refusal(() => without.account.chat('tuned'))
  assert.equal(missing?.status, 503)
  assert.match(missing?.message ?? '', /base model mine is not in this cloud any more/)
  const tuned = (await without.account.openai.models.list()).data.find(({ id }) => id.startsWith('gpt-4o.ft-'))?.id
  const further = await refusal(() => without.account.train(file, { model: tuned }))
  assert.equal(further?.status, 400)
  assert.match(further?.message ?? '', /can't be trained further: its base 'mine' is not in this cloud any more/)
  await without.account.jobIs(job, ['paused'])
  await without.cloud.stop()
  assert.equal((await add(other, '--name', 'mine', '--licence', 'MIT')).code, 0)
  const replaced = await startNow()
  assert.match((await refusal(() => replaced.account.chat('tuned')))?.message ?? '', /is another file than/)
  const onOther = await refusal(() => replaced.account.train(file, { model: tuned }))
  assert.match(onOther?.message ?? '', /can't be trained further: its base 'mine' is another file now/)
  await replaced.cloud.stop()
  await writeFile(join(dataDir, 'models.yaml'), paths.before)
  const again = await startNow()
  assert.notEqual(await again.account.chat('tuned'), '')
  await again.account.openai.fineTuning.jobs.resume(job)
  await again.account.jobIs(job, ['running'])
  await again.account.openai.fineTuning.jobs.cancel(job)
  const more = await again.account.train(file, { model: tuned, hyperparameters: { n_epochs: 1, batch_size: 12 } })
  assert.match((await again.account.jobIs(more, ['succeeded'])).fine_tuned_model ?? '', /^gpt-4o\.ft-/)
  await again.cloud.stop()
})

test('a models.yaml that a hand has broken is refused with its name and the field', async () => {
  const path = join(dataDir, 'models.yaml')
  const text = await readFile(path, 'utf8')
  const broken = async (change: string, message: RegExp): Promise<void> => {
    await writeFile(path, change)
    const { code, errors } = await models(['list'])
    assert.notEqual(code, 0)
    assert.match(errors.replaceAll(/\s+/g, ' '), message)
  }
  const { models: entries } = parse(text) as { models: object[] }
  await broken('models: [', /models\.yaml: it is not valid YAML/)
  await broken(stringify({ models: [{ ...entries[0], sha256: 'x' }] }), /models\.0\.sha256: it must be 64 hexadecimal/)
  const shaped = (training: object): string => stringify({ models: [{ ...entries[0], training }] })
  await broken(shaped({ rank: 0 }), /models\.0\.training\.rank/)
  await broken(shaped({ targets: ['attn_everything'] }), /models\.0\.training\.targets\.0/)
  await writeFile(path, shaped({ rank: 4, alpha: 8, targets: ['attn_q', 'attn_v'] }))
  assert.equal((await models(['list'])).code, 0)
  await broken(stringify({ models: [{ ...entries[0], colour: 'red' }] }), /models\.yaml: models\.0: .*colour/)
  await writeFile(path, text)
})

test('a removed base is gone from the list, its file stays where the operator keeps it, and a copy goes', async () => {
  assert.equal((await add(mine, '--name', 'copied', '--licence', 'MIT', '--copy')).code, 0)
  const copy = join(dataDir, 'models', 'copied.gguf')
  assert.equal((await stat(copy)).mode & 0o777, 0o600)
  for (const name of ['mine', 'copied']) assert.equal((await models(['remove', name])).code, 0)
  await stat(mine)
  await assert.rejects(stat(copy))
  assert.deepEqual(JSON.parse((await models(['list', '--format', 'json'])).output), [])
})
