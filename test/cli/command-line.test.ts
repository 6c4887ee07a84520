import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync } from 'node:fs'
import { cp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { COMMANDS } from '../../src/cli/catalogue.ts'
import { allHelp } from '../../src/cli/help.ts'
import { assertFits, assertRefused, ended, folderFor, say } from './command-line.fixture.ts'

const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}

test('--version, -V and version say which OwnKey this is, and under which Node it runs', async () => {
  for (const args of [['--version'], ['-V'], ['version'], ['start', '--version']]) {
    const { code, out, err } = await say(args)
    assert.deepEqual([code, err], [0, ''])
    assert.equal(out, `ownkey ${version}, Node ${process.versions.node}\n`)
  }
})

test('help lists every command, and explains one with an example', async () => {
  const all = await say([])
  assert.equal(all.code, 0)
  for (const args of [['help'], ['--help'], ['-h']]) assert.deepEqual(await say(args), all)
  assertFits(all.out)
  for (const { name, options } of COMMANDS) {
    assert.match(all.out, new RegExp(`^ {2}${name} {2,}\\S`, 'm'))
    const words = name.split(' ')
    const { code, out, err } = await say(['help', ...words])
    assert.deepEqual([code, err], [0, ''], name)
    assert.match(out, new RegExp(`^Usage: \\./ownkey ${name}\\b[\\s\\S]*\\nExample: \\./ownkey ${words[0]}`))
    assert.ok(out.trimEnd().split('\n').length <= 20, out)
    assertFits(out)
    for (const option of Object.keys(options)) assert.match(out, new RegExp(` --${option}\\b`), `${name} --${option}`)
    const whole = (await say(['help', ...words, '--all'])).out
    assertFits(whole)
    for (const [option, { about }] of Object.entries(options)) {
      const line = whole.split('\n').find(one => one.startsWith(`  --${option} `) || one === `  --${option}`)
      assert.ok(line?.includes(about), `${name} --${option} is not explained by --all`)
    }
    for (const args of [
      [...words, '--help'],
      [...words, '-h', '--nonsense'],
      ['--help', ...words],
    ])
      assert.equal((await say(args)).out, out, args.join(' '))
  }
})

test('the texts that the launcher shows before there is a Node.js are these (./ownkey run scripts/help-text.ts)', async () => {
  assert.equal(await readFile(new URL('../../src/cli/help.txt', import.meta.url), 'utf8'), allHelp(COMMANDS))
})

test(
  'an output that takes nothing is told',
  { skip: existsSync('/dev/full') ? false : 'needs /dev/full' },
  async () => {
    const full = openSync('/dev/full', 'w')
    const said = await say(['help'], { stdio: ['ignore', full, 'pipe'] })
    closeSync(full)
    assertRefused(said, { code: 1, says: /Not all of it could be written: The disk of .* is full\./ })
  },
)

test('help, version and completion need no install', async t => {
  const bare = await folderFor(t)
  await cp(fileURLToPath(new URL('../../src', import.meta.url)), join(bare, 'src'), { recursive: true })
  await cp(fileURLToPath(new URL('../../package.json', import.meta.url)), join(bare, 'package.json'))
  for (const args of [['help'], ['help', 'start'], ['prove', '--help'], ['--version'], ['completion', 'bash']]) {
    const child = spawn(process.execPath, [join(bare, 'src/cli.ts'), ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    const said = await ended(child)
    assert.equal(said.code, 0, said.err)
    assert.notEqual(said.out, '')
  }
})

const WRONG: readonly (readonly [string, RegExp])[] = [
  ['strat', /no command 'strat'\. Did you mean 'start'\?/],
  ['prov --data-dir x', /Did you mean 'prove'\?/],
  ['xyzzy', /no command 'xyzzy'\.\s+\.\/ownkey help says more/],
  ['HELP', /Did you mean 'help'\?/],
  ['--verison', /no option --verison without a command\. Did you mean --version\?/],
  ['-v', /Did you mean -V\?/],
  ['help audit verfy', /Did you mean 'audit verify'\? \.\/ownkey help says more/],
  ['--data-dir x start', /The command comes first/],
  ['help strat', /Did you mean 'start'\?/],
  ['audit verfiy --data-dir x', /Did you mean 'audit verify'\?/],
  ['audit verify --data-dir x --last 3', /'audit verify' has no option --last\. It belongs to 'audit'/],
  ['clock revind --data-dir x', /no 'clock revind': use show, advance, set or reset/],
  ['clock advanec 1d --data-dir x', /Did you mean 'clock advance'\?/],
  ['clock advance soon --data-dir x', /'soon' is not a length of time: use for example 91d/],
  ['clock set then --data-dir x', /'then' is not a time: use for example/],
  ['clock show 3 --data-dir x', /takes nothing more/],
  ['start --datadir x', /has no option --datadir\. Did you mean --data-dir\?/],
  ['start -data-dir x', /has no option -data-dir\. Did you mean --data-dir\?/],
  ['start -p 8443', /has no option -p\./],
  ['prove --data-dir x --folow', /has no option --folow/],
  ['prove --data-dir x --follow', /has no option --follow\. It belongs to 'audit'/],
  ['start', /--data-dir DIR is missing/],
  ['start --data-dir', /--data-dir DIR: the value is missing/],
  ['start --data-dir=', /--data-dir DIR: the value is empty/],
  ['start --data-dir --port 1', /the value is missing, --port comes next/],
  ['start --data-dir x --data-dir y', /given twice: x and y/],
  ['start --data-dir x --port -1', /--port -1: it must be a whole number from 0 to 65535/],
  ['start --data-dir x --port=65536', /from 0 to 65535/],
  ['start --data-dir x --port 84.5', /from 0 to 65535/],
  ['start --data-dir x --port 0x50', /from 0 to 65535/],
  ['start --data-dir x --verbose=yes', /--verbose takes no value/],
  ['start --data-dir x y', /'start' does not know what 'y' is/],
  ['start --data-dir x -- --port', /'start' does not know what '--port' is/],
  ['start --data-dir x --pkcs11-token t', /needs both --pkcs11-module PATH and --pkcs11-pin-file FILE/],
  ['start --data-dir x --location ../mars', /not the name of a region: use for example westeurope/],
  ['re-encrypt --data-dir x', /--account NAME is missing/],
  ['re-encrypt --data-dir x --account a --mib-per-second 0', /from 1 to 100000/],
  ['env --data-dir x --format yaml', /--format yaml is not known here: use shell, az or json/],
  ['audit --data-dir x --last -1', /--last -1: it must be/],
  ['audit --data-dir x --since yesterday', /'yesterday' is not a time: use for example/],
  ['audit verify --data-dir x --known 12', /--known must be/],
  ['completion', /Name a shell: bash, zsh or fish/],
  ['completion bsh', /Did you mean 'completion bash'\?/],
  ['doctor --port x', /--port x: it must be a whole number/],
  ['demo ./cloud', /'demo' does not know what '\.\/cloud' is/],
]

for (const [line, says] of WRONG)
  test(`ownkey ${line}: what is wrong alone, in a line or two, and exit code 2`, async () => {
    const said = await say(line.split(' '))
    assertRefused(said, { code: 2, says })
    assert.ok(said.err.trimEnd().split('\n').length <= 3, said.err)
    assert.match(said.err, /\n\.\/ownkey help[ a-z-]* says more\.\n$/)
  })
