import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { test } from 'node:test'

const root = resolve(import.meta.dirname, '../..')
const source = join(root, 'src')

/** Which rooms each room may import, besides itself. `.` is src itself: env.ts, endpoints.ts. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  crypto: ['.'],
  http: ['.'],
  store: ['.', 'http', 'crypto'],
  audit: ['.', 'http', 'store'],
  clock: ['.', 'http', 'store', 'audit'],
  entra: ['.', 'audit', 'crypto', 'http', 'store'],
  arm: ['.', 'audit', 'crypto', 'http', 'store', 'entra'],
  pkcs11: ['.'],
  keyvault: ['.', 'audit', 'crypto', 'http', 'store', 'entra', 'arm', 'pkcs11'],
  encryption: ['.', 'crypto', 'http', 'store', 'entra', 'arm'],
  accounts: ['.', 'audit', 'crypto', 'http', 'store', 'entra', 'arm', 'encryption', 'engines'],
  openai: ['.', 'audit', 'crypto', 'http', 'store', 'entra', 'arm', 'encryption', 'accounts', 'engines'],
  engines: ['.'],
  // A data folder as a whole: backup, restore, verify.
  folder: ['.', 'audit', 'crypto', 'http', 'store', 'encryption', 'accounts', 'openai'],
  portal: ['.', 'http'],
  demo: ['.', 'http'],
  trust: ['.'],
  // Of arm and keyvault the names alone: what it makes, it makes through their public APIs.
  seed: ['.', 'http', 'store', 'arm', 'keyvault'],
  commands: ['.', 'crypto', 'audit', 'trust', 'seed', 'folder'],
  // What each command is called and takes; what it does, its module does.
  cli: ['.', 'commands', 'demo'],
}
/** Files of src itself that wire the rooms together or start them: nothing below imports them. */
const TOP = new Set(['main.ts', 'cli.ts', 'rooms.ts'])
const CIPHERS =
  /\b(createCipheriv|createDecipheriv|createHmac|hkdf|hkdfSync|pbkdf2|pbkdf2Sync|scrypt|publicEncrypt|privateDecrypt|privateEncrypt|publicDecrypt|generateKeyPair|generateKeyPairSync|diffieHellman|createSign|createVerify)\b/

async function sources(): Promise<{ path: string; room: string; text: string }[]> {
  const entries = await readdir(source, { recursive: true, withFileTypes: true })
  const paths = entries
    .filter(entry => entry.isFile() && /\.(ts|mjs)$/.test(entry.name))
    .map(entry => join(entry.parentPath, entry.name))
  return Promise.all(paths.map(async path => ({ path, room: roomOf(path), text: await readFile(path, 'utf8') })))
}

function roomOf(path: string): string {
  const parts = relative(source, path).split('/')
  return parts.length === 1 ? '.' : (parts[0] ?? '.')
}

function importsOf(path: string, text: string): string[] {
  const specifiers = text.matchAll(/(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g)
  return [...specifiers].map(([, specifier = '']) => resolve(dirname(path), specifier))
}

test('no path of a file is the path of its address: in a folder with a blank in its name that would be another', async () => {
  for (const folder of ['src', 'test', 'scripts', 'bench', 'examples']) {
    const names = await readdir(join(root, folder), { recursive: true })
    for (const name of names.filter(one => /\.m?ts$|\.mjs$/.test(one))) {
      const text = await readFile(join(root, folder, name), 'utf8')
      assert.doesNotMatch(text, /import\.meta\.url\)\.pathname/, `${folder}/${name}: use fileURLToPath`)
    }
  }
})

const files = (await sources()).map(({ path, room, text }) => ({ path, room, imports: importsOf(path, text) }))
const ofRoot = new Map(files.filter(({ room }) => room === '.').map(file => [file.path, file.imports]))

/** What files at the root of src import, those that they import of each other included, and by way of which. */
function behindRoot(imports: readonly string[]): Map<string, string> {
  const found = new Map<string, string>()
  const seen = new Set<string>()
  const waiting = imports.filter(target => ofRoot.has(target))
  for (let at = 0; at < waiting.length; at += 1) {
    const way = waiting[at] ?? ''
    if (seen.has(way)) continue
    seen.add(way)
    for (const target of ofRoot.get(way) ?? [])
      if (ofRoot.has(target)) waiting.push(target)
      else found.set(target, relative(source, way))
  }
  return found
}

const isTest = (path: string): boolean =>
  /\.(test|fixture|child|test-support)\.ts$|conformance\.ts$|temporary-folder\.ts$/.test(path)

test('rooms import only the rooms below them', async () => {
  const broken: string[] = []
  for (const { path, room, text } of await sources()) {
    if (room === '.' || isTest(path)) continue
    for (const target of importsOf(path, text)) {
      const targetRoom = roomOf(target)
      const name = relative(source, target)
      const allowed = targetRoom === room || MAY_IMPORT[room]?.includes(targetRoom) === true
      const isTop = TOP.has(name) && !(room === 'commands' && name === 'main.ts')
      if (!allowed || isTop) broken.push(`${relative(root, path)} imports ${name}`)
    }
  }
  assert.deepEqual(broken, [])
})

test('the customer of a vault reaches it over its REST API alone: encryption, accounts and openai never import keyvault, not through files at the root of src either · R11', () => {
  const customers = ['encryption', 'accounts', 'openai']
  for (const room of customers) assert.ok(!MAY_IMPORT[room]?.includes('keyvault'))
  const broken: string[] = []
  for (const { path, room, imports } of files)
    if (customers.includes(room) && !isTest(path))
      for (const [target, way] of behindRoot(imports))
        if (roomOf(target) === 'keyvault') broken.push(`${relative(root, path)} by way of ${way}`)
  assert.deepEqual(broken, [])
})

test('what a room must not import it does not reach through a file at the root of src', () => {
  const broken: string[] = []
  for (const { path, room, imports } of files) {
    // The commands start the whole service.
    if (room === '.' || room === 'commands' || room === 'cli' || isTest(path)) continue
    for (const [target, way] of behindRoot(imports))
      if (roomOf(target) !== room && MAY_IMPORT[room]?.includes(roomOf(target)) !== true)
        broken.push(`${relative(root, path)} imports ${relative(source, target)} by way of ${way}`)
  }
  assert.deepEqual(broken, [])
})

test('only the room crypto uses ciphers of node:crypto · R02', async () => {
  const broken = (await sources()).filter(({ path, room, text }) => {
    const imported = text.match(/import\s*(?:type\s*)?\{[^}]*\}\s*from 'node:crypto'/g) ?? []
    return room !== 'crypto' && !isTest(path) && imported.some(line => CIPHERS.test(line))
  })
  assert.deepEqual(
    broken.map(({ path }) => relative(root, path)),
    [],
  )
})

test('files are small: the median at most 150 lines, none over 400', async () => {
  const sizes = (await sources()).map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }))
  const ordered = sizes.map(({ lines }) => lines).sort((a, b) => a - b)
  assert.ok((ordered[Math.floor(ordered.length / 2)] ?? 0) <= 150)
  assert.deepEqual(
    sizes.filter(({ lines }) => lines > 400).map(({ path }) => relative(root, path)),
    [],
  )
})

test('what people run imports only packages that are installed with the product: src and the examples', async () => {
  const { dependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  const examples = (await readdir(join(root, 'examples'))).filter(name => name.endsWith('.ts'))
  const files = [
    ...(await sources()).filter(({ path }) => !isTest(path)),
    ...(await Promise.all(
      examples.map(async name => ({
        path: `examples/${name}`,
        text: await readFile(join(root, 'examples', name), 'utf8'),
      })),
    )),
  ]
  const broken = files.flatMap(({ path, text }) =>
    [...text.matchAll(/(?:\bfrom |^import |\bimport\()'(?<name>@[\w.-]+\/[\w.-]+|\w[\w.-]*)[\w./-]*'/gm)]
      .map(({ groups }) => groups?.['name'] ?? '')
      .filter(name => !name.startsWith('node:') && !Object.hasOwn(dependencies, name))
      .map(name => `${relative(root, path)} imports ${name}`),
  )
  assert.deepEqual(broken, [])
})
