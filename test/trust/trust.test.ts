import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ownkey } from '../audit/ownkey.fixture.ts'
import { noBrowser, openBrowser } from '../support/browser.ts'
import { cloudFor } from '../support/cloud.ts'

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
const lacks = (program: string): string | false =>
  spawnSync('sh', ['-c', `PATH=$PATH:/usr/sbin:/sbin command -v ${program}`]).status === 0
    ? false
    : `${program} is not installed`
const noStore = lacks('update-ca-certificates')

async function folder(test: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'ownkey-trust-test-'))
  test.after(() => rm(path, { recursive: true, force: true }))
  return path
}

const noCurl = lacks('curl')

/** curl with the store below `root` alone. Empty when it trusts the server, else what it complains about. */
function refusedByCurl(root: string, url: string): string {
  const bundle = join(root, 'etc/ssl/certs/ca-certificates.crt')
  return spawnSync('curl', ['-sS', '--cacert', bundle, '-o', '/dev/null', url], { encoding: 'utf8' }).stderr
}

test(
  'the CA of a cloud goes into the system store and out again, beside that of another cloud',
  { skip: noStore || noCurl },
  async t => {
    const [root, home] = [await folder(t), await folder(t)]
    const [one, other] = [await cloudFor(t), await cloudFor(t)]
    const trust = (dataDir: string, ...more: string[]) =>
      asUser(home, ['trust', '--data-dir', dataDir, '--system-root', root, ...more])
    assert.match((await trust(other.dataDir)).output, /^trusted in .*\/ownkey-[0-9a-f]{16}\.crt$/m)
    assert.notEqual(refusedByCurl(root, one.endpoints.portal), '')
    for (const words of [/^trusted in /m, /^is in /m]) {
      const { code, output } = await trust(one.dataDir)
      assert.equal(code, 0, output)
      assert.match(output, words)
      assert.equal(refusedByCurl(root, one.endpoints.portal), '')
    }
    const bundle = join(root, 'etc/ssl/certs/ca-certificates.crt')
    const environment = await ownkey('env', '--data-dir', one.dataDir, '--system-root', root)
    assert.match(environment.output, new RegExp(`^export REQUESTS_CA_BUNDLE='${bundle}'$`, 'm'))
    assert.match(environment.output, new RegExp(`^export NODE_EXTRA_CA_CERTS='${one.endpoints.caCertificate}'$`, 'm'))
    assert.equal((await readdir(join(root, 'usr/local/share/ca-certificates'))).length, 2)
    const doctor = await ownkey('doctor', '--data-dir', one.dataDir, '--system-root', root)
    assert.match(doctor.output, /^ok +the system trusts the CA ownkey-/m)
    for (const words of [/^removed from /m, /^is not in /m]) {
      const { code, output } = await trust(one.dataDir, '--remove')
      assert.equal(code, 0, output)
      assert.match(output, words)
    }
    assert.match(refusedByCurl(root, one.endpoints.portal), /certificate/)
    assert.equal(refusedByCurl(root, other.endpoints.portal), '')
    assert.equal((await readdir(join(root, 'etc/ssl/certs'))).filter(name => name.startsWith('ownkey-')).length, 1)
    const after = await ownkey('doctor', '--data-dir', one.dataDir, '--system-root', root)
    assert.match(after.output, /^lacking +the system does not trust the CA ownkey-.*\n +\.\/ownkey trust --data-dir/m)
    // Also of clouds whose folder is gone.
    const listed = await asUser(home, ['trust', '--system-root', root])
    assert.deepEqual(listed.output.match(/ownkey-[0-9a-f]{16}\.crt/g)?.length, 1, listed.output)
    assert.equal((await asUser(home, ['trust', '--remove', '--system-root', root])).code, 0)
    assert.match((await asUser(home, ['trust', '--system-root', root])).output, /^No cloud is trusted here\.$/m)
    assert.match(refusedByCurl(root, other.endpoints.portal), /certificate/)
  },
)

test(
  "Chromium opens the portal without a warning once the CA is in the user's store, and no longer after --remove",
  { skip: noBrowser || lacks('certutil') || noStore },
  async t => {
    const [root, home] = [await folder(t), await folder(t)]
    const { dataDir, endpoints } = await cloudFor(t)
    await mkdir(join(home, '.pki/nssdb'), { recursive: true })
    spawnSync('certutil', ['-N', '-d', `sql:${join(home, '.pki/nssdb')}`, '--empty-password'])
    const trust = (...args: string[]) => asUser(home, ['trust', '--data-dir', dataDir, '--system-root', root, ...args])
    const open = async (): Promise<string> => {
      const browser = await openBrowser(home)
      try {
        const page = await browser.newPage()
        return await page.goto(endpoints.portal).then(
          response => `${response?.status()}`,
          (error: Error) => error.message,
        )
      } finally {
        await browser.close()
      }
    }
    assert.match(await open(), /ERR_CERT_AUTHORITY_INVALID/)
    assert.match((await trust()).output, /^trusted in .*nssdb$/m)
    assert.match((await trust()).output, /^is in .*nssdb$/m)
    assert.equal(await open(), '200')
    assert.match((await trust('--remove')).output, /^removed from .*nssdb$/m)
    assert.match(await open(), /ERR_CERT_AUTHORITY_INVALID/)
  },
)

test(
  'a user who is not root is told what to run for the system store',
  { skip: noStore || lacks('certutil') },
  async t => {
    const [root, home] = [await folder(t), await folder(t)]
    const { dataDir, endpoints } = await cloudFor(t)
    await mkdir(join(home, 'cloud/ca'), { recursive: true })
    await cp(endpoints.caCertificate, join(home, 'cloud/ca/ca.pem'))
    spawnSync('chown', ['-R', '65534', home])
    spawnSync('chmod', ['555', root])
    const { code, output } = await asUser(
      home,
      ['trust', '--data-dir', join(home, 'cloud'), '--system-root', root],
      65_534,
    )
    assert.equal(code, 1, output)
    assert.match(
      output,
      /^NOT DONE .*\n +the system store belongs to root\. Run this again as root, or:\n +sudo sh -c 'install -D -m 644 \S*ca\.pem .*update-ca-certificates'$/m,
    )
    assert.ok(!output.includes(dataDir))
  },
)

test('the system store is done also without a usable home folder', { skip: noStore || lacks('certutil') }, async t => {
  const [root, programs] = [await folder(t), await folder(t)]
  const { dataDir } = await cloudFor(t)
  await writeFile(join(programs, 'chromium'), '#!/bin/sh\n', { mode: 0o755 })
  const path = `${programs}:${process.env['PATH']}`
  const { code, output } = await asUser(
    '/proc',
    ['trust', '--data-dir', dataDir, '--system-root', root],
    undefined,
    path,
  )
  assert.equal(code, 1, output)
  assert.match(output, /^trusted in .*\.crt\nNOT DONE .*nssdb\n +the folder can't be made\. There is no \/proc\/\.pki/m)
  if (process.getuid?.() !== 0) return
  await chmod(root, 0o755)
  // As in some containers: with a user id that is in no file.
  const listed = await asUser('', ['trust', '--system-root', root], 54_321, path)
  assert.deepEqual([listed.code, /^is in .*\.crt$/m.test(listed.output)], [0, true], listed.output)
})

test('a CA that could vouch for any name is not trusted', { skip: lacks('openssl') }, async t => {
  const dataDir = await folder(t)
  await mkdir(join(dataDir, 'ca'))
  const made = spawnSync('openssl', [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    join(dataDir, 'key.pem'),
    '-out',
    join(dataDir, 'ca/ca.pem'),
    '-subj',
    '/CN=any',
  ])
  assert.equal(made.status, 0)
  const { code, errors } = await ownkey('trust', '--data-dir', dataDir, '--system-root', dataDir)
  assert.equal(code, 1)
  assert.match(errors, /is not a CA that is limited to\s+names of its cloud/)
  await writeFile(join(dataDir, 'ca/ca.pem'), 'no certificate')
  assert.match((await ownkey('trust', '--data-dir', dataDir)).errors, /ca\.pem is not a certificate/)
  assert.match((await ownkey('trust', '--data-dir', join(dataDir, 'none'))).errors, /There is no folder .*none/)
})

test('clients that trust nothing yet get the certificate over plain HTTP', async t => {
  const { endpoints } = await cloudFor(t)
  assert.match(endpoints.caCertificateUrl, /^http:\/\/127\.0\.0\.1:\d+\/ca\.pem$/)
  const response = await fetch(endpoints.caCertificateUrl)
  assert.equal(await response.text(), await readFile(endpoints.caCertificate, 'utf8'))
})

async function asUser(
  home: string,
  args: readonly string[],
  uid?: number,
  path = process.env['PATH'],
): Promise<{ code: number; output: string }> {
  const isRoot = process.getuid?.() === 0
  const child = spawn(process.execPath, [cli, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, HOME: home, PATH: path },
    ...(uid !== undefined && isRoot ? { uid } : {}),
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const code = await new Promise<number>(resolve => child.once('close', status => resolve(status ?? -1)))
  return { code, output }
}
