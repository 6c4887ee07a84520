import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { ended, folderFor, lacks, say } from './command-line.fixture.ts'

/** What is typed, and candidates that must come, or must not (`!`). */
const TYPED: readonly (readonly [string, readonly string[]])[] = [
  ['ownkey st', ['start', '!demo']],
  ['./ownkey re', ['re-encrypt', '!start']],
  ['ownkey audit ', ['verify']],
  ['ownkey audit verify --', ['--known', '--data-dir', '!--follow']],
  ['ownkey prove --', ['--deleted', '--whole', '!--port']],
  ['ownkey prove --format ', ['table', 'json', '!shell']],
  ['ownkey env --format ', ['shell', 'az', 'json', '!table']],
  ['ownkey clock ', ['advance', 'reset']],
  ['ownkey completion ', ['bash', 'zsh', 'fish']],
  ['ownkey help re', ['re-encrypt']],
  ['ownkey start --data-dir clo', ['cloud one', '!cloud.yaml']],
  ['ownkey start --seed cloud.', ['cloud.yaml']],
]

/** A folder with the script of a shell, a folder to complete and a file. */
async function prepared(t: TestContext, shell: string): Promise<string> {
  const folder = await folderFor(t)
  await mkdir(join(folder, 'cloud one'))
  await writeFile(join(folder, 'cloud.yaml'), '')
  const { code, out, err } = await say(['completion', shell])
  assert.deepEqual([code, err], [0, ''])
  await writeFile(join(folder, 'script'), out)
  return folder
}

async function run(folder: string, program: string, ...args: readonly string[]): Promise<string> {
  const env = { ...process.env, HOME: folder, XDG_CONFIG_HOME: folder, TERM: 'dumb' }
  const child = spawn(program, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const { code, out, err } = await ended(child)
  assert.deepEqual([code, err], [0, ''], args.join(' '))
  return out
}

function assertCandidates(typed: string, shown: string, wanted: readonly string[]): void {
  for (const candidate of wanted) {
    const isWanted = !candidate.startsWith('!')
    assert.equal(
      shown.includes(isWanted ? candidate : candidate.slice(1)),
      isWanted,
      `${typed}: ${candidate}\n${shown}`,
    )
  }
}

test('bash completes commands, options, their values, folders and files', { skip: lacks('bash') }, async t => {
  const folder = await prepared(t, 'bash')
  // As readline does: the words up to the cursor, then the function that `complete` was told.
  const ask = `source ./script && complete -p ownkey >/dev/null || exit 1
    COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); COMPREPLY=(); _ownkey; printf '%s\\n' "\${COMPREPLY[@]}"`
  for (const [typed, wanted] of TYPED) {
    const shown = await run(folder, 'bash', '--norc', '-c', ask, 'bash', ...typed.split(' '))
    assertCandidates(typed, shown, wanted)
  }
  const inline = await run(folder, 'bash', '--norc', '-c', ask, 'bash', 'ownkey', 'prove', '--format', '=', 'j')
  assert.equal(inline, 'json\n')
})

test('fish completes the same', { skip: lacks('fish') }, async t => {
  const folder = await prepared(t, 'fish')
  for (const [typed, wanted] of TYPED) {
    const shown = await run(
      folder,
      'fish',
      '--no-config',
      '-c',
      `source ./script; complete -C ${JSON.stringify(typed)}`,
    )
    assertCandidates(typed, shown.replaceAll('\\ ', ' '), wanted)
  }
})

/** zsh completes only in its line editor, so this types into one in a pseudo-terminal and reads its output. */
const ZSH = `zmodload zsh/zpty
  zpty z zsh -f -i
  zpty -w z "PS1=; unset zle_bracketed_paste; autoload -Uz compinit; compinit -u -D; source ./script; setopt no_beep; LISTMAX=1000; echo rea''dy"
  zpty -r z out '*ready*'
  out=
  zpty -n -w z "$1"$'\\t\\t'
  for try in {1..100}; do
    sleep 0.1; while zpty -rt z more; do out+=$more; done
    [[ "$out" == *$2* ]] && break
  done
  sleep 0.5; while zpty -rt z more; do out+=$more; done
  print -r -- "$out"
  zpty -d z`

test('zsh completes the same', { skip: lacks('zsh') }, async t => {
  const folder = await prepared(t, 'zsh')
  for (const [typed, wanted] of TYPED) {
    // The first tab inserts what is common; the second lists the rest, with explanations.
    const shown = await run(folder, 'zsh', '-f', '-c', ZSH, 'zsh', typed, wanted[0]?.replace(' ', '\\ ') ?? '')
    assertCandidates(typed, shown.replaceAll('\\ ', ' '), wanted)
  }
})

test('zsh takes the script before its completion system is loaded too', { skip: lacks('zsh') }, async t => {
  const folder = await prepared(t, 'zsh')
  const known = 'eval "$(<./script)"; print -r -- $_comps[ownkey]'
  assert.equal(await run(folder, 'zsh', '-f', '-c', known), '_ownkey\n')
})

test('the scripts know every command and option, whatever is added', async () => {
  const { COMMANDS } = await import('../../src/cli/catalogue.ts')
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { out } = await say(['completion', shell])
    for (const { name, options } of COMMANDS) {
      assert.ok(out.includes(name.split(' ')[0] ?? ''), `${shell}: ${name}`)
      for (const option of Object.keys(options)) assert.match(out, new RegExp(`(--|-l )${option}\\b`), shell)
    }
  }
})
