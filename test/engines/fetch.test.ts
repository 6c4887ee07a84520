import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, beforeEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { EMBEDDED_BASE } from '../../src/engines/catalogue.ts'
import { ownkey } from '../audit/ownkey.fixture.ts'
import { httpsServer, redirect, serve } from './hub.fixture.ts'

const folder = await mkdtemp(join(tmpdir(), 'ownkey-fetch-'))
after(() => rm(folder, { recursive: true, force: true }))
const hub = await httpsServer(folder)
/** Where a hub keeps its large files. */
const store = await httpsServer(folder)
after(() => Promise.all([hub.close(), store.close()]))
process.env['NODE_EXTRA_CA_CERTS'] = hub.caFile
process.env['HF_ENDPOINT'] = hub.origin
delete process.env['HF_TOKEN']

const bytes = await readFile(EMBEDDED_BASE.path)
const sha256 = EMBEDDED_BASE.sha256
let dataDir = ''
let count = 0
beforeEach(async () => {
  for (const { answers, seen } of [hub, store]) {
    answers.clear()
    seen.length = 0
  }
  dataDir = join(folder, `cloud-${(count += 1)}`)
  await mkdir(dataDir, { mode: 0o700 })
})

const add = (...words: string[]) => ownkey('models', 'add', ...words, '--data-dir', dataDir)
const inOneLine = (text: string): string => text.replaceAll(/\s+/g, ' ')
const incoming = () => readdir(join(dataDir, 'models', '.incoming')).catch(() => [])
const digest = (of: Buffer): string => createHash('sha256').update(of).digest('hex')

async function isThere(name: string): Promise<void> {
  const { models } = parse(await readFile(join(dataDir, 'models.yaml'), 'utf8')) as {
    models: { name: string; file: string; sha256: string }[]
  }
  const entry = models.find(one => one.name === name)
  assert.ok(entry)
  assert.equal(entry.sha256, sha256)
  assert.equal(digest(await readFile(join(dataDir, entry.file))), sha256)
  assert.equal((await stat(join(dataDir, entry.file))).mode & 0o777, 0o600)
  assert.deepEqual(await incoming(), [])
}

async function refused(words: readonly string[], message: RegExp, left?: RegExp): Promise<string> {
  const { code, errors, output } = await add(...words)
  assert.notEqual(code, 0)
  assert.match(inOneLine(errors), message)
  await assert.rejects(stat(join(dataDir, 'models.yaml')))
  const names = await readdir(join(dataDir, 'models')).catch(() => [])
  assert.deepEqual(
    names.filter(name => name.endsWith('.gguf')),
    [],
  )
  if (left === undefined) assert.deepEqual(await incoming(), [])
  else assert.match((await incoming()).join(' '), left)
  return errors + output
}

/** A repository of a hub, whose file lies elsewhere. */
function repository(file: Buffer, said: { size?: number; sha256?: string; etag?: string } = {}): void {
  const ggufFile = {
    rfilename: 'My Model-Q8_0.gguf',
    size: said.size ?? file.length,
    lfs: { sha256: said.sha256 ?? digest(file) },
  }
  hub.answers.set('/v2/some/repo/manifests/Q8_0', (_, response) => response.end(JSON.stringify({ ggufFile })))
  hub.answers.set(
    '/some/repo/resolve/main/My%20Model-Q8_0.gguf',
    redirect(`${store.origin}/blob?signature=secret-signature`, { 'x-linked-etag': `"${said.etag ?? digest(file)}"` }),
  )
  store.answers.set('/blob', serve(file))
}

test('hf:OWNER/REPO:QUANT is found at the hub, fetched from where it leads to, compared with the hub`s SHA-256, and usable', async () => {
  repository(bytes)
  const { code, output, errors } = await add('hf:some/repo:Q8_0', '--alias', 'gpt-4o')
  assert.equal(code, 0, errors)
  assert.match(output, /^Added my-model-q8_0\.\n/)
  assert.doesNotMatch(output + errors, /secret-signature/)
  await isThere('my-model-q8_0')
  assert.deepEqual(
    hub.seen.map(({ path }) => path),
    ['/v2/some/repo/manifests/Q8_0', '/some/repo/resolve/main/My%20Model-Q8_0.gguf'],
  )
  const checked = await ownkey('models', 'check', 'gpt-4o', '--data-dir', dataDir)
  assert.equal(checked.code, 0, checked.errors)
  assert.equal((await ownkey('models', 'remove', 'my-model-q8_0', '--data-dir', dataDir)).code, 0)
  assert.deepEqual(
    (await readdir(join(dataDir, 'models'))).filter(name => name.endsWith('.gguf')),
    [],
  )
})

test('hf:OWNER/REPO/FILE and https addresses are fetched too, and a file is fetched anew for each name', async () => {
  repository(bytes)
  hub.answers.set('/files/a%20model.gguf', serve(bytes))
  assert.equal((await add('hf:some/repo/My Model-Q8_0.gguf', '--name', 'one')).code, 0)
  assert.equal((await add(`${hub.origin}/files/a%20model.gguf?key=secret`, '--sha256', sha256.toUpperCase())).code, 0)
  await isThere('one')
  await isThere('a-model')
})

test('a token of HF_TOKEN goes to the hub alone, and is neither printed nor kept; without it none is sent', async t => {
  repository(bytes)
  process.env['HF_TOKEN'] = 'hf_very_secret'
  t.after(() => delete process.env['HF_TOKEN'])
  const { code, output, errors } = await add('hf:some/repo:Q8_0')
  assert.equal(code, 0, errors)
  assert.ok(hub.seen.every(({ authorization }) => authorization === 'Bearer hf_very_secret'))
  assert.ok(store.seen.every(({ authorization }) => authorization === undefined))
  delete process.env['HF_TOKEN']
  assert.doesNotMatch(output + errors + (await readFile(join(dataDir, 'models.yaml'), 'utf8')), /very_secret/)
  assert.equal((await add('hf:some/repo:Q8_0', '--name', 'without')).code, 0)
  assert.equal(hub.seen.at(-1)?.authorization, undefined)
  hub.answers.set('/v2/some/gated/manifests/latest', (_, response) => response.writeHead(401).end())
  assert.match(
    inOneLine((await add('hf:some/gated')).errors),
    /hf:some\/gated could not be fetched: It wants a token: set HF_TOKEN/,
  )
})

test('a token that is none is not quoted, and a hub that answers with something else is named', async t => {
  t.after(() => delete process.env['HF_TOKEN'])
  process.env['HF_TOKEN'] = 'hf_very_secret\nx: y'
  const said = await refused(['hf:some/repo:Q8_0'], /HF_TOKEN holds something else than a token/)
  assert.doesNotMatch(said, /very_secret/)
  delete process.env['HF_TOKEN']
  for (const body of ['<html>', '{}', '{"ggufFile":{"rfilename":7}}']) {
    hub.answers.set('/v2/some/odd/manifests/latest', (_, response) => response.end(body))
    await refused(['hf:some/odd'], /The hub did not say which file it is/)
  }
  repository(bytes)
  hub.answers.set('/v2/renamed/repo/manifests/Q8_0', redirect('/v2/some/repo/manifests/Q8_0'))
  hub.answers.set(
    '/renamed/repo/resolve/main/My%20Model-Q8_0.gguf',
    redirect('/some/repo/resolve/main/My%20Model-Q8_0.gguf'),
  )
  const { code, errors } = await add('hf:renamed/repo:Q8_0')
  assert.equal(code, 0, errors)
  await isThere('my-model-q8_0')
})

test('what is not what was said is refused, and nothing of it stays', async () => {
  repository(bytes, { sha256: 'a'.repeat(64) })
  await refused(['hf:some/repo:Q8_0'], /its SHA-256 is 0ac76933.* and its source says a{64}/)
  repository(bytes)
  await refused(['hf:some/repo:Q8_0', '--sha256', 'b'.repeat(64)], /another file than it should be.*and you give b{64}/)
  repository(Buffer.from('not a model, but long enough to be one'))
  await refused(['hf:some/repo:Q8_0'], /can't be used: the model file is not a GGUF/)
  repository(bytes, { size: 5 })
  await refused(['hf:some/repo:Q8_0'], /The file has \d+ bytes, and 5 were announced/)
  await refused(['hf:some/repo:Q4_K_M'], /The hub has no hf:some\/repo:Q4_K_M/)
  await refused(['hf:some'], /must be hf:OWNER\/REPO:QUANT/)
  await refused(['hf:../x:Q8_0'], /must be hf:OWNER|The hub has no/)
  await refused([`${hub.origin}/none.gguf`], /There is no such file/)
  const said = await refused(['https://me:secret-password@localhost/a.gguf'], /must not hold a name and a password/)
  assert.doesNotMatch(said, /secret-password/)
})

test('a file that was fetched, but does not say its licence, is not fetched again for it', async () => {
  const silent = Buffer.from(bytes.toString('latin1').replace('general.license', 'general.nothing'), 'latin1')
  hub.answers.set('/silent.gguf', serve(silent))
  await refused([`${hub.origin}/silent.gguf`], /does not say its licence: give it with --licence/, /\.part\b/)
  const { code, errors } = await add(`${hub.origin}/silent.gguf`, '--licence', 'MIT')
  assert.equal(code, 0, errors)
  assert.deepEqual(
    hub.seen.map(({ range }) => range),
    [undefined, `bytes=${silent.length}-`],
  )
})

test('a fetch that nobody goes on with for a week is cleared away', async () => {
  const folderOf = join(dataDir, 'models', '.incoming')
  await mkdir(folderOf, { recursive: true })
  for (const [name, days] of [
    ['new.part', 6],
    ['old.part', 8],
    ['old.part.json', 8],
  ] as const) {
    await writeFile(join(folderOf, name), 'x')
    const then = Date.now() / 1000 - days * 86_400
    await utimes(join(folderOf, name), then, then)
  }
  assert.equal((await add(EMBEDDED_BASE.path, '--name', 'x')).code, 0)
  assert.deepEqual(await incoming(), ['new.part'])
})

test('a redirect to plain http is refused, and so is one that never ends', async t => {
  const plain = createServer((_, response) => response.end(bytes)).listen(0, 'localhost')
  t.after(() => plain.close())
  await once(plain, 'listening')
  hub.answers.set('/plain.gguf', redirect(`http://localhost:${(plain.address() as AddressInfo).port}/a.gguf`))
  await refused(
    [`${hub.origin}/plain.gguf`],
    /It leads to http:\/\/localhost:\d+\/a\.gguf: a model is fetched over https/,
  )
  hub.answers.set('/round.gguf', redirect('/round.gguf'))
  await refused([`${hub.origin}/round.gguf`], /leads on more than 10 times/)
  process.env['HF_ENDPOINT'] = 'http://localhost:1'
  t.after(() => (process.env['HF_ENDPOINT'] = hub.origin))
  await refused(['hf:some/repo:Q8_0'], /HF_ENDPOINT must be an https address/)
})

test(
  'a body without an end, of more bytes than it says, or larger than the disk, is refused',
  { timeout: 180_000 },
  async () => {
    const endless = (length: number | undefined) => (_: unknown, response: import('node:http').ServerResponse) => {
      response.writeHead(200, length === undefined ? {} : { 'content-length': length })
      const more = (): void => void (response.destroyed || response.write(Buffer.alloc(65_536), more))
      more()
    }
    hub.answers.set('/endless.gguf', endless(undefined))
    await refused([`${hub.origin}/endless.gguf`], /does not say how many bytes the file has, so it might never end/)
    hub.answers.set('/huge.gguf', endless(3 * 1024 ** 4))
    await refused([`${hub.origin}/huge.gguf`], /The disk of .* MB left, and it takes 3,298,\d\d\d MB/)
    hub.answers.set('/absurd.gguf', endless(2 ** 52))
    await refused([`${hub.origin}/absurd.gguf`], /says that the file has 4503599627370496 bytes/)
    hub.answers.set('/v2/some/long/manifests/latest', endless(undefined))
    await refused(['hf:some/long'], /The hub answered with too much/)
  },
)

test('a fetch that is cut off goes on by itself where it was', async () => {
  hub.answers.set('/cut.gguf', serve(bytes, { cutAt: [1_000_000, 700_000, 1] }))
  const { code, errors } = await add(`${hub.origin}/cut.gguf`)
  assert.equal(code, 0, errors)
  await isThere('cut')
  const ranges = hub.seen.map(({ range }) => range)
  assert.equal(ranges.length, 4)
  for (const range of ranges.slice(1)) assert.match(range ?? '', /^bytes=\d{5,}-$/)
})

test('a fetch that was killed goes on the next time; where the file is another one by then, it begins anew', async () => {
  let etag = '"first"'
  const cutAt: number[] = []
  hub.answers.set('/killed.gguf', serve(bytes, { cutAt, etag: () => etag }))
  const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
  for (const signal of ['SIGKILL', 'SIGINT'] as const) {
    // The rest never comes.
    const slow = hub.answers.get('/killed.gguf')
    hub.answers.set('/killed.gguf', (_, response) => {
      response.writeHead(200, { 'content-length': bytes.length, etag })
      response.write(bytes.subarray(0, 2_000_000))
    })
    const child = spawn(process.execPath, [cli, 'models', 'add', `${hub.origin}/killed.gguf`, '--data-dir', dataDir])
    const part = async () => (await incoming()).find(name => name.endsWith('.part')) ?? ''
    while ((await stat(join(dataDir, 'models', '.incoming', await part())).catch(() => ({ size: 0 }))).size < 1_000_000)
      await sleep(20)
    child.kill(signal)
    assert.equal((await once(child, 'exit'))[1], signal)
    const names = (await readdir(join(dataDir, 'models'))).filter(name => name.endsWith('.gguf'))
    assert.deepEqual(names, signal === 'SIGKILL' ? [] : ['sigkill.gguf'])
    if (slow !== undefined) hub.answers.set('/killed.gguf', slow)
    hub.seen.length = 0
    if (signal === 'SIGINT') etag = '"second"'
    const { code, errors } = await add(`${hub.origin}/killed.gguf`, '--name', signal.toLowerCase())
    assert.equal(code, 0, errors)
    await isThere(signal.toLowerCase())
    assert.match(hub.seen[0]?.range ?? '', /^bytes=\d{6,}-$/)
  }
})

test(
  'on a terminal a fetch shows how far it is',
  { skip: spawnSync('script', ['-qec', 'true', '/dev/null']).status !== 0 && 'no terminal here' },
  async () => {
    hub.answers.set('/shown.gguf', (_, response) => {
      response.writeHead(200, { 'content-length': bytes.length })
      response.write(bytes.subarray(0, 3_000_000))
      setTimeout(() => response.end(bytes.subarray(3_000_000)), 500)
    })
    const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
    const line = `'${process.execPath}' '${cli}' models add ${hub.origin}/shown.gguf --data-dir '${dataDir}'`
    const child = spawn('script', ['-qec', line, '/dev/null'], { env: { ...process.env, TERM: 'xterm' } })
    let shown = ''
    child.stdout.on('data', (chunk: Buffer) => (shown += chunk.toString()))
    await once(child, 'close')
    assert.match(shown, /\[#+\.*\] +\d+ % {2}\d of 6 MB/)
    assert.match(shown, /Added shown\./)
  },
)
