import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { test } from 'node:test'
import { MAY_IMPORT } from './may-import.ts'

const root = resolve(import.meta.dirname, '../..')
const source = join(root, 'src')

/** The one file that starts what the composition root wires. */
const STARTS = 'commands/start.ts'
const CIPHERS =
  /\b(createCipheriv|createDecipheriv|createHmac|hkdf|hkdfSync|pbkdf2|pbkdf2Sync|scrypt|publicEncrypt|privateDecrypt|privateEncrypt|publicDecrypt|generateKeyPair|generateKeyPairSync|diffieHellman|createSign|createVerify)\b/

async function sources(): Promise<{ path: string; module: string; text: string }[]> {
  const entries = await readdir(source, { recursive: true, withFileTypes: true })
  const paths = entries
    .filter(entry => entry.isFile() && /\.(ts|mjs)$/.test(entry.name))
    .map(entry => join(entry.parentPath, entry.name))
  return Promise.all(paths.map(async path => ({ path, module: moduleOf(path), text: await readFile(path, 'utf8') })))
}

function moduleOf(path: string): string {
  const parts = relative(source, path).split('/')
  return parts.length === 1 ? '.' : (parts[0] ?? '.')
}

function importsOf(path: string, text: string): string[] {
  const specifiers = text.matchAll(/(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g)
  return [...specifiers].map(([, specifier = '']) => resolve(dirname(path), specifier))
}

test('file paths come from fileURLToPath, since the path of a URL differs for a folder with a blank', async () => {
  for (const folder of ['src', 'test', 'scripts', 'bench', 'examples']) {
    const names = await readdir(join(root, folder), { recursive: true })
    for (const name of names.filter(one => /\.m?ts$|\.mjs$/.test(one))) {
      const text = await readFile(join(root, folder, name), 'utf8')
      assert.doesNotMatch(text, /import\.meta\.url\)\.pathname/, `${folder}/${name}: use fileURLToPath`)
    }
  }
})

const isTest = (path: string): boolean =>
  /\.(test|fixture|child|test-support)\.ts$|conformance\.ts$|temporary-folder\.ts$/.test(path)

test('modules import only the modules below them, and the composition root is imported by the start alone · R11', async () => {
  const broken: string[] = []
  for (const { path, module, text } of await sources()) {
    if (isTest(path)) continue
    for (const target of importsOf(path, text)) {
      const to = moduleOf(target)
      const allowed =
        to === module ||
        MAY_IMPORT[module]?.includes(to) === true ||
        (to === 'cloud' && relative(source, path) === STARTS)
      if (!allowed) broken.push(`${relative(root, path)} imports ${relative(source, target)}`)
    }
  }
  assert.deepEqual(broken, [])
})

test('only cli.ts is in src itself, since the walls cover modules', async () => {
  const loose = (await sources()).filter(({ module }) => module === '.').map(({ path }) => relative(source, path))
  assert.deepEqual(loose, ['cli.ts'])
})

test('there are no circular imports, also not of types', async () => {
  const imports = new Map((await sources()).map(({ path, text }) => [path, importsOf(path, text)]))
  const done = new Set<string>()
  const circles: string[] = []
  const follow = (path: string, way: readonly string[]): void => {
    const at = way.indexOf(path)
    if (at >= 0) circles.push([...way.slice(at), path].map(one => relative(source, one)).join(' → '))
    if (at >= 0 || done.has(path)) return
    for (const target of imports.get(path) ?? []) follow(target, [...way, path])
    done.add(path)
  }
  for (const path of imports.keys()) follow(path, [])
  assert.deepEqual(circles, [])
})

test('only the module crypto uses ciphers of node:crypto · R02', async () => {
  const broken = (await sources()).filter(({ path, module, text }) => {
    const imported = text.match(/import\s*(?:type\s*)?\{[^}]*\}\s*from 'node:crypto'/g) ?? []
    return module !== 'crypto' && !isTest(path) && imported.some(line => CIPHERS.test(line))
  })
  assert.deepEqual(
    broken.map(({ path }) => relative(root, path)),
    [],
  )
})

test('nothing reaches through the options of another object, since it gets its own arguments', async () => {
  const reaching = /this\.#?\w+\.options\b|\boptions\.\w+\.options\b/
  const broken = (await sources()).filter(({ path, text }) => !isTest(path) && reaching.test(text))
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
