import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { auditRecords } from '../audit/ownkey.fixture.ts'
import { Azure } from '../support/azure.ts'
import { keyedAccount } from '../support/causes.ts'
import { cloudFor } from '../support/cloud.ts'

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
const folder = process.env['OWNKEY_FIPS_DIR'] ?? fileURLToPath(new URL('../../.fips', import.meta.url))
const none = existsSync(join(folder, 'fips.so')) ? false : 'FIPS module: scripts/build-fips-module.sh builds it'

async function temporary(t: { after(fn: () => Promise<void>): void }): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'ownkey-fips-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

function start(dataDir: string, modules: string): { status: number | null; stderr: string } {
  const { OPENSSL_CONF: _, OPENSSL_MODULES: __, NODE_OPTIONS: ___, ...environment } = process.env
  return spawnSync(process.execPath, [cli, 'start', '--fips', '--data-dir', dataDir, '--port', '0'], {
    env: { ...environment, OWNKEY_FIPS_DIR: modules },
    encoding: 'utf8',
    timeout: 60_000,
  })
}

test('R02: --fips without a module, or with one that does not work, refuses to start', async t => {
  const modules = await temporary(t)
  const dataDir = join(modules, 'cloud')
  const without = start(dataDir, modules)
  assert.equal(without.status, 1)
  assert.match(without.stderr, /--fips needs an OpenSSL FIPS provider[\s\S]*build-fips-module/)
  await writeFile(join(modules, 'fips.so'), 'no module')
  await writeFile(join(modules, 'openssl.cnf'), 'nodejs_conf = nothing\n')
  const broken = start(dataDir, modules)
  assert.equal(broken.status, 1, broken.stderr)
  assert.match(broken.stderr, /does\s+not\s+work/)
  assert.equal(existsSync(dataDir), false)
})

test(
  'R02: on a FIPS provider a key`s whole life works, and /health, doctor and the audit log name the module',
  { skip: none },
  async t => {
    process.env['OWNKEY_FIPS_DIR'] = folder
    const cloud = await cloudFor(t, ['--fips'])
    const azure = await Azure.in(cloud.endpoints)
    const { account, keys, key, version } = await keyedAccount(azure, 'fips')
    const file = await account.upload('sealed on a FIPS provider')
    assert.match((await account.download(file)).toString(), /sealed on a FIPS provider/)
    await keys.updateKeyProperties(key, version, { enabled: false })
    const health = await fetch(`${cloud.endpoints.resourceManager}/health`)
    const { status, fips } = (await health.json()) as { status: string; fips: { status: string; version: string } }
    assert.deepEqual([health.status, status, fips.status], [200, 'ok', 'active'])
    assert.match(fips.version, /^3\.\d+\.\d+$/)
    const record = (await auditRecords(cloud.dataDir)).find(
      ({ operationName }) => operationName === 'OwnKey/fips/start',
    )
    assert.match(record?.resultDescription ?? '', new RegExp(`FIPS Provider ${fips.version}.*SHA-256 [0-9a-f]{64}`))
  },
)

/** `ownkey doctor` in such an environment: the line about FIPS, with its remedy. */
function doctorsLine(environment: object): { status: number | null; line: string } {
  const { OPENSSL_CONF: _, OPENSSL_MODULES: __, NODE_OPTIONS: ___, ...rest } = process.env
  const env = { ...rest, ...environment }
  const { status, stdout } = spawnSync(process.execPath, [cli, 'doctor', '--port', '0'], { env, encoding: 'utf8' })
  const words = stdout.replaceAll(/\n {9}/g, ' ').split('\n')
  return { status, line: words.find(line => line.includes('FIPS')) ?? stdout }
}

test('R02: doctor says that no FIPS provider is on, or that one is wanted which does not work, and what to do', () => {
  assert.equal(doctorsLine({}).line, 'ok       FIPS provider off (approved algorithms only, all the same)')
  const setFips = "data:text/javascript,import{setFips}from'node:crypto';setFips(true)"
  const broken = doctorsLine({ NODE_OPTIONS: `--import=${setFips}`, OPENSSL_CONF: '/dev/null' })
  assert.equal(broken.status, 1)
  assert.match(
    broken.line,
    /^lacking  FIPS mode is set, but its provider does not work.*start without --enable-fips\.$/,
  )
})

test('R02: doctor names the FIPS provider that is on, its version and its file', { skip: none }, () => {
  const { line } = doctorsLine({
    NODE_OPTIONS: '--enable-fips',
    OPENSSL_CONF: join(folder, 'openssl.cnf'),
    OPENSSL_MODULES: folder,
  })
  assert.match(
    line,
    /^ok       FIPS provider active: OpenSSL FIPS Provider 3\.\d+\.\d+ \(\S+\/fips\.so, SHA-256 [0-9a-f]{64}\)$/,
  )
})

test('/health answers without an identity that there is no FIPS provider on', async t => {
  const cloud = await cloudFor(t)
  const answer = await fetch(`${cloud.endpoints.resourceManager}/health`)
  const { fips, ...rest } = (await answer.json()) as { fips: { status: string } }
  assert.equal(answer.status, 200)
  assert.deepEqual(rest, { status: 'ok' })
  assert.deepEqual(
    Object.keys(fips).filter(name => !['status', 'module', 'version'].includes(name)),
    [],
  )
})
