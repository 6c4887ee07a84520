import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Azure } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { assertFits, cli, folderFor, lacks, say } from './command-line.fixture.ts'

const cloud = await cloudFor({ after })
const { dataDir } = cloud
const azure = await Azure.in(cloud.endpoints)
const own = await azure.account('contoso')
const keys = await azure.vault('contoso-keys')
const { properties } = await keys.createRsaKey('at-rest', { keySize: 2048 })
await azure.policy('contoso-keys', 'add', own.principalId)
await own.encrypt({ vault: 'contoso-keys', name: 'at-rest', version: properties.version })
const file = await own.upload('something to seal')
const gone = await own.upload('something to delete')
await own.openai.files.delete(gone)

const COMMANDS: readonly (readonly string[])[] = [
  ['prove'],
  ['prove', '--deleted', gone],
  ['prove', '--deleted', file],
  ['prove', '--deleted', 'file-none'],
  ['audit'],
  ['audit', 'verify'],
  ['re-encrypt', '--account', 'contoso'],
  ['clock'],
  ['doctor', '--port', '0'],
]

test('what a running cloud is asked for fits 80 columns, in a pipe and in a terminal', async t => {
  const root = await folderFor(t)
  const env = { ...process.env, HOME: root }
  for (const words of [...COMMANDS, ['trust', '--system-root', root], ['trust', '--system-root', root, '--remove']]) {
    const { out, err } = await say([...words, '--data-dir', dataDir], { env })
    assert.notEqual(out + err, '', words.join(' '))
    assertFits(out + err, line => /\S{60}/.test(line))
  }
})

/** For `{ skip }`: what keeps `script` from opening a terminal. */
function noTerminal(): string | false {
  const { status, stderr } = spawnSync('script', ['-qec', 'true', '/dev/null'], { encoding: 'utf8' })
  return status === 0 ? false : `a terminal can't be opened here: ${stderr.trim()}`
}

test(
  'in a terminal, colours come unless NO_COLOR is set, and no line is wider',
  { skip: lacks('script') || noTerminal() },
  async () => {
    const shown = (environment: Readonly<Record<string, string>>): string => {
      const line = `stty cols 80; '${process.execPath}' '${cli}' audit --data-dir '${dataDir}'`
      const env = { ...process.env, TERM: 'xterm', ...environment }
      return spawnSync('script', ['-qec', line, '/dev/null'], { encoding: 'utf8', env }).stdout.replaceAll('\r', '')
    }
    const coloured = shown({ NO_COLOR: '' })
    assert.ok(coloured.includes('\u001b[32m'), 'an empty NO_COLOR says nothing')
    // oxlint-disable-next-line no-control-regex -- colours take no columns
    assertFits(coloured.replaceAll(/\u001b\[\d+m/g, ''))
    for (const environment of [{ NO_COLOR: '1' }, { NO_COLOR: '', TERM: 'dumb' }])
      assert.ok(!shown(environment).includes('\u001b'))
  },
)

test('what start says fits 80 columns, and every path in it is there', async () => {
  const said = await readFile(join(dataDir, 'service.log'), 'utf8')
  assertFits(said, line => /\S{60}/.test(line))
  assert.match(said, /^OwnKey is ready on https:\/\/\*\.localhost:\d+ \(loopback only\)\.\n/)
  assert.match(said, new RegExp(`\\n  clients    eval "\\$\\(\\./ownkey env --data-dir ${dataDir}\\)"\\n`))
})
