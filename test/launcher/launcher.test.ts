import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, copyFile, cp, mkdir, mkdtemp, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { assertFits, ended, lacks } from '../cli/command-line.fixture.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const PROGRAMS = [
  'sh',
  'sed',
  'dirname',
  'readlink',
  'uname',
  'cut',
  'cmp',
  'cp',
  'rm',
  'ln',
  'mkdir',
  'getconf',
  'cat',
  'flock',
  'sleep',
]
const PLATFORM = process.arch === 'arm64' ? 'linux-arm64' : 'linux-x64'
const BUNDLE = `node-${PLATFORM}`

/** The npm of these tests: it logs its arguments, and puts this Node.js where the package would be. */
const NPM = `#!/bin/sh
[ "$1" = --version ] && { echo "\${NPM_VERSION:-9.2.0}"; exit; }
echo "$(basename "$0") $*" >>"$HOME/calls"
[ -z "\${NPM_SLEEPS:-}" ] || sleep "$NPM_SLEEPS"
[ -z "\${NPM_FAILS:-}" ] || { echo "npm ERR! network" >&2; exit 7; }
mkdir -p node_modules/${BUNDLE}/bin node_modules/${BUNDLE}/include
[ -n "\${NO_NATIVE:-}" ] || mkdir -p node_modules/@koromix/koffi-${PLATFORM} node_modules/@node-llama-cpp/${PLATFORM}
[ -n "\${NO_NODE:-}" ] || ln -sf ${process.execPath} node_modules/${BUNDLE}/bin/node
`

interface Checkout {
  readonly folder: string
  readonly run: (
    args: readonly string[],
    env?: Record<string, string>,
  ) => Promise<{ code: number | null; out: string; err: string }>
  readonly calls: () => Promise<string[]>
  readonly program: (name: string, content: string) => Promise<void>
}

/** A checkout with the launcher and a cli.ts that prints how it was started. PATH has only a few programs. */
async function checkout(t: TestContext, { npm = true } = {}): Promise<Checkout> {
  const folder = await mkdtemp(join(tmpdir(), 'ownkey-launcher-'))
  t.after(() => rm(folder, { recursive: true }))
  const bin = join(folder, 'bin')
  await mkdir(bin)
  await mkdir(join(folder, 'clone/src/cli'), { recursive: true })
  await copyFile(join(root, 'ownkey'), join(folder, 'clone/ownkey'))
  await writeFile(join(folder, 'clone/package-lock.json'), '{}')
  await copyFile(join(root, 'package.json'), join(folder, 'clone/package.json'))
  await writeFile(
    join(folder, 'clone/src/cli.ts'),
    'console.log(JSON.stringify({ args: process.argv.slice(2), execArgv: process.execArgv, execPath: process.execPath, compiled: process.env.NODE_COMPILE_CACHE }))',
  )
  await copyFile(join(root, 'src/cli/help.txt'), join(folder, 'clone/src/cli/help.txt'))
  await writeFile(join(folder, 'clone/src/cli/check.ts'), '')
  for (const name of [...PROGRAMS, 'basename']) await symlink(`/usr/bin/${name}`, join(bin, name))
  const program = async (name: string, content: string): Promise<void> => {
    await rm(join(bin, name), { force: true })
    await writeFile(join(bin, name), content)
    await chmod(join(bin, name), 0o755)
  }
  if (npm) for (const name of ['npm', 'npx']) await program(name, NPM)
  return {
    folder,
    program,
    calls: async () => (await readFile(join(folder, 'calls'), 'utf8').catch(() => '')).split('\n').filter(Boolean),
    run: async (args, env = {}) => {
      const child = spawn(join(folder, 'clone/ownkey'), args, { env: { PATH: bin, HOME: folder, ...env } })
      const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
      assertFits(err, line => line.includes(folder))
      return { code: child.exitCode, out, err }
    },
  }
}

test('the first start installs the product alone and runs the bundled Node.js; the second installs nothing', async t => {
  const { run, calls, folder } = await checkout(t)
  const first = await run(['audit', '--data-dir', 'a b'])
  assert.equal(first.code, 0, first.err)
  const { args, execArgv } = JSON.parse(first.out) as { args: string[]; execArgv: string[] }
  assert.deepEqual(args, ['audit', '--data-dir', 'a b'])
  assert.ok(execArgv.includes('--disable-sigusr1'))
  assert.match(first.err, /^ownkey: installing the locked dependencies \(once: 370 MB, about 20 seconds\)\.\.\.\n$/)
  const [call = '', ...more] = await calls()
  assert.match(call, /^npm ci --omit=dev --include=optional --prefer-offline --no-audit --no-fund --loglevel=error /)
  assert.deepEqual(more, [])
  await assert.rejects(stat(join(folder, 'clone/node_modules', BUNDLE, 'include')))
  const second = await run(['demo'])
  assert.equal(second.err, '')
  assert.equal((await calls()).length, 1)
})

test('what Node.js compiles is kept beside what npm installed, or where the user says', async t => {
  const { run, folder } = await checkout(t)
  const { compiled } = JSON.parse((await run(['demo'])).out) as { compiled: string }
  assert.equal(compiled, join(folder, 'clone/node_modules/.cache/compile'))
  const own = await run(['demo'], { NODE_COMPILE_CACHE: join(folder, 'own') })
  assert.equal((JSON.parse(own.out) as { compiled: string }).compiled, join(folder, 'own'))
})

test('the tests’ tools are added to what is installed, so that a running cloud keeps its files', async t => {
  const { run, calls } = await checkout(t)
  await run(['demo'])
  await run(['test'])
  await run(['test'])
  const [, added, ...more] = await calls()
  assert.match(added ?? '', /^npm install --no-save --include=dev /)
  assert.deepEqual(more, [])
})

test('a developer`s npm ci is kept, with its tools, and only completed', async t => {
  const { run, calls, folder } = await checkout(t)
  const modules = join(folder, 'clone/node_modules')
  await mkdir(join(modules, 'typescript'), { recursive: true })
  await writeFile(join(modules, '.package-lock.json'), '{}')
  const later = new Date(Date.now() + 5000)
  await utimes(join(modules, '.package-lock.json'), later, later)
  await run(['demo'])
  await run(['test'])
  const [completed, ...more] = await calls()
  assert.match(completed ?? '', /^npm install --no-save --include=dev /)
  assert.deepEqual(more, [])
})

test('a changed lock file is installed anew', async t => {
  const { run, calls, folder } = await checkout(t)
  await run(['demo'])
  await writeFile(join(folder, 'clone/package-lock.json'), '{ }')
  await run(['demo'])
  assert.equal((await calls()).length, 2)
})

test('two first starts at once install once', async t => {
  const { run, calls } = await checkout(t)
  const ends = await Promise.all([1, 2, 3].map(() => run(['demo'], { NPM_SLEEPS: '2' })))
  assert.deepEqual(
    ends.map(({ code }) => code),
    [0, 0, 0],
  )
  assert.equal((await calls()).length, 1)
  assert.ok(ends.some(({ err }) => err.includes('waiting for another ./ownkey, which is installing')))
})

test('Ctrl-C while it installs: it says so alone, and the next start installs', async t => {
  const { folder, run, calls, program } = await checkout(t)
  await program(
    'npm',
    '#!/bin/sh\n[ "$1" = --version ] && { echo 9.2.0; exit; }\necho waits >>"$HOME/begun"\nread -r never\n',
  )
  const child = spawn(join(folder, 'clone/ownkey'), ['demo'], {
    env: { PATH: join(folder, 'bin'), HOME: folder },
    detached: true,
  })
  const err = text(child.stderr)
  while (child.exitCode === null && !(await stat(join(folder, 'begun')).catch(() => undefined))) await sleep(20)
  process.kill(-(child.pid ?? 0), 'SIGINT')
  assert.deepEqual(await once(child, 'close'), [130, null])
  assert.match(await err, /^ownkey: installing .*\nownkey: broken off; the next \.\/ownkey installs it anew\.\n$/)
  await program('npm', NPM)
  assert.equal((await run(['demo'])).code, 0)
  assert.equal((await calls()).length, 1)
})

test('an npm that can’t read the lock file is replaced by one that can', async t => {
  const { run, calls } = await checkout(t)
  const { code } = await run(['demo'], { NPM_VERSION: '8.19.4' })
  assert.equal(code, 0)
  assert.match((await calls())[0] ?? '', /^npx --yes npm@10\.\d+\.\d+ ci --omit=dev /)
})

test('what npm leaves out for an older Node.js is added under the bundled one', async t => {
  for (const [version, more] of [
    ['18.20.4', true],
    ['20.18.1', true],
    ['20.19.2', false],
    ['22.12.0', false],
    ['24.21.0', false],
  ] as const) {
    const { run, calls, program } = await checkout(t)
    await program('node', `#!/bin/sh\necho ${version}\n`)
    await run(['demo'])
    assert.equal((await calls()).length, more ? 2 : 1, version)
    if (more)
      assert.match(
        (await calls())[1] ?? '',
        /^npx --yes --package=npm@10\S+ -c PATH=.*npm install --no-save --omit=dev/,
      )
  }
})

test('without npm, with a failing npm and with a registry that lacks Node.js: one clear sentence', async t => {
  const none = await (await checkout(t, { npm: false })).run(['demo'])
  assert.equal(none.code, 1)
  assert.match(none.err, /^ownkey: npm is missing\. Install Node\.js 18 or newer with npm/)
  const failing = await checkout(t)
  const failed = await failing.run(['demo'], { NPM_FAILS: '1' })
  assert.equal(failed.code, 1)
  assert.match(failed.err, /the dependencies could not be installed; npm says why above/)
  const lacking = await failing.run(['demo'], { NO_NODE: '1' })
  assert.equal(lacking.code, 1)
  assert.match(lacking.err, /npm installed everything but Node\.js itself/)
  assert.match(lacking.err, /Look whether the disk is full, and whether your registry has it/)
  await rm(join(failing.folder, 'clone/node_modules'), { recursive: true })
  const partly = await failing.run(['demo'], { NO_NATIVE: '1' })
  assert.equal(partly.code, 1)
  assert.match(partly.err, /npm installed everything but the package @koromix\/koffi-linux/)
  assert.equal((await failing.run(['demo'])).code, 0)
})

test('a platform without a bundled Node.js uses its own from 24 on', async t => {
  const { run, program } = await checkout(t)
  await program('uname', '#!/bin/sh\n[ "$1" = -s ] && echo Darwin || echo arm64\n')
  const none = await run(['demo'])
  assert.equal(none.code, 1)
  assert.match(none.err, /no bundled Node\.js,\n {2}and needs Node\.js 24 or newer of its own \(found: none\)/)
  await program('node', '#!/bin/sh\necho 20.19.2\n')
  assert.match((await run(['demo'])).err, /\(found: 20\.19\.2\)/)
  await program('node', `#!/bin/sh\nexec ${process.execPath} "$@"\n`)
  assert.equal((await run(['demo'])).code, 0)
})

test('a Node.js that can’t install is named before npm is asked, and so is an npm that does not start', async t => {
  const { run, calls, program } = await checkout(t)
  for (const version of ['16.20.2', '12.22.12', '8.17.0']) {
    await program('node', `#!/bin/sh\n[ "$1" = --version ] && echo v${version} || echo ${version}\n`)
    const { code, err } = await run(['demo'])
    assert.equal(code, 1)
    assert.match(
      err,
      new RegExp(`^ownkey: Node\\.js v${version} is too old\\. Install Node\\.js 18 or newer with npm\\n`),
    )
  }
  await program('node', '#!/bin/sh\necho 18.20.4\n')
  await program('npm', '#!/bin/sh\nexit 127\n')
  assert.match((await run(['demo'])).err, /^ownkey: npm does not start\. Install/)
  assert.match((await run(['demo'], { HOME: '' })).err, /^ownkey: npm does not start without HOME\.\n/)
  assert.deepEqual(await calls(), [])
})

test('help and the version need no Node.js', async t => {
  const { run, calls } = await checkout(t, { npm: false })
  const overview = await run([])
  assert.match(overview.out, /^OwnKey: .*\n\nUsage: \.\/ownkey COMMAND/)
  for (const args of [['help'], ['-h'], ['--help']]) assert.deepEqual(await run(args), overview)
  for (const [args, usage] of [
    [['help', 'start'], 'start'],
    [['start', '--data-dir', 'x', '--help'], 'start'],
    [['--help', 'prove'], 'prove'],
    [['help', 'audit', 'verify'], 'audit verify'],
    [['audit', 'verify', '-h'], 'audit verify'],
    [['audit', '-h'], 'audit'],
    [['run', '--help'], 'run'],
    [['test', '--help'], 'test'],
    [['help', 'help'], 'help'],
  ] as const) {
    const { code, out, err } = await run(args)
    assert.deepEqual([code, err], [0, ''], args.join(' '))
    assert.match(out, new RegExp(`^Usage: \\./ownkey ${usage}(?: \\S+)* *\\n`))
  }
  assert.match((await run(['help', 'start', '--all'])).out, /--allow-ropc {2,}\S/)
  for (const args of [['--version'], ['-V'], ['version']])
    assert.match((await run(args)).out, /^ownkey \d+\.\d+\.\d+, nothing installed yet\n$/)
  for (const args of [['strat', '--data-dir', 'x'], ['help', 'strat'], ['-x'], ['../../etc', '/*']]) {
    const { code, out, err } = await run(args)
    assert.deepEqual([code, out], [2, ''])
    assert.match(err, /^ownkey: There is no command '.*'\.\n\.\/ownkey help says more\.\n$/)
  }
  assert.deepEqual(await calls(), [])
})

test('without a Node.js that runs TypeScript too, slips are told first, and completion needs nothing', async t => {
  const { run, calls, program } = await checkout(t)
  await program('node', '#!/bin/sh\necho 18.20.4\n')
  for (const [args, says] of [
    [['start'], '--data-dir DIR is missing.\n./ownkey help start says more.\n'],
    [['start', '--datadir', 'x'], "'start' has no option --datadir.\n./ownkey help start says more.\n"],
    [['start', '--*'], "'start' has no option --*.\n./ownkey help start says more.\n"],
    [['re-encrypt', '--data-dir=x'], '--account NAME is missing.\n./ownkey help re-encrypt says more.\n'],
    [['test', '--verbose'], "'test' has no option --verbose.\n./ownkey help test says more.\n"],
    [['completion'], 'Name a shell: bash, zsh or fish.\n./ownkey help completion says more.\n'],
    [
      ['completion', 'tcsh'],
      "There is no 'completion tcsh': use bash, zsh or fish.\n./ownkey help completion says more.\n",
    ],
  ] as const)
    assert.deepEqual(await run(args), { code: 2, out: '', err: `ownkey: ${says}` })
  for (const shell of ['bash', 'zsh', 'fish'])
    assert.match(
      (await run(['completion', shell])).out,
      new RegExp(`^(?:#compdef ownkey\\n)?# ${shell} completion of ownkey`),
    )
  assert.deepEqual(await calls(), [])
  for (const args of [
    ['start', '--data-dir=x', '--allow-ropc', '--', '--not-ours'],
    ['audit', '--data-dir', 'a * b', 'verify', '--known', '3'],
    ['run', '--data-dir', 'x', 'file.ts', '--its', '--own'],
    ['backup', 'x', 'y', '--format', 'json'],
  ])
    assert.deepEqual([(await run(args)).code, args], [0, args])
})

test('a proxy is not asked for names below localhost', async t => {
  const { folder, run } = await checkout(t)
  await writeFile(join(folder, 'clone/src/cli.ts'), 'console.log(process.env.NO_PROXY, process.env.no_proxy)')
  assert.equal((await run(['demo'])).out, 'undefined undefined\n')
  const { out } = await run(['demo'], { HTTPS_PROXY: 'http://proxy:3128', NO_PROXY: '.example.org' })
  const names = '.example.org,localhost,.localhost,127.0.0.1,::1'
  assert.equal(out, `${names} ${names}\n`)
})

test('zsh runs it too, where somebody says so', { skip: lacks('zsh') }, async t => {
  const { folder, calls } = await checkout(t)
  const env = { PATH: join(folder, 'bin'), HOME: folder }
  const { code, err } = await ended(spawn('/usr/bin/zsh', [join(folder, 'clone/ownkey'), 'demo'], { env }))
  assert.equal(code, 0, err)
  assert.match((await calls())[0] ?? '', /^npm ci --omit=dev --include=optional /)
})

test('a slip is told before anything is installed, with what was meant where a Node.js runs TypeScript', async t => {
  const { run, calls, program, folder } = await checkout(t)
  await rm(join(folder, 'clone/src'), { recursive: true })
  await cp(join(root, 'src'), join(folder, 'clone/src'), { recursive: true })
  await program('node', `#!/bin/sh\nexec ${process.execPath} "$@"\n`)
  for (const [args, says] of [
    [['strat'], /Did you mean 'start'\?/],
    [['start'], /--data-dir DIR is missing/],
    [['start', '--datadir', 'x'], /Did you mean --data-dir\?/],
    [['test', '--verbos'], /'test' has no option --verbos/],
  ] as const) {
    const { code, err } = await run(args)
    assert.equal(code, 2, err)
    assert.match(err, says)
  }
  assert.deepEqual(await calls(), [])
})

test('every npm from 9 reads the lock file: it has no overrides, and every link in it leads to an empty package', async () => {
  const { overrides } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { overrides?: unknown }
  assert.equal(overrides, undefined)
  const lock = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { link?: boolean; resolved?: string }>
  }
  const links = Object.values(lock.packages).filter(({ link }) => link)
  assert.ok(links.length > 0 && links.every(({ resolved }) => resolved === 'scripts/left-out'))
})
