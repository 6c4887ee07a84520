import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { auditRecords } from '../audit/ownkey.fixture.ts'
import { Azure } from '../support/azure.ts'
import { keyedAccount } from '../support/causes.ts'
import { cloudFor } from '../support/cloud.ts'

const cli = new URL('../../src/cli.ts', import.meta.url).pathname
const folder = process.env['OWNKEY_FIPS_DIR'] ?? new URL('../../.fips', import.meta.url).pathname
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

test('R02: --fips without a module, or with one that does not work, refuses to start and makes nothing', async t => {
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
