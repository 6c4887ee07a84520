import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { cloudFor } from '../support/cloud.ts'
import { cli, ended, lacks, say } from './command-line.fixture.ts'

const cloud = await cloudFor({ after })
const { administrator, tenantId, resourceManager, caCertificate } = cloud.endpoints
const root = fileURLToPath(new URL('../../', import.meta.url))

/** What a shell of that name makes of a script. */
async function inShell(shell: string, script: string): Promise<string> {
  const { code, out, err } = await ended(spawn(shell, ['-c', script], { stdio: ['ignore', 'pipe', 'pipe'] }))
  assert.deepEqual([code, err], [0, ''], script)
  return out
}

for (const shell of ['dash', 'bash', 'zsh'])
  test(`${shell}: eval takes what env prints, for a shell and for az`, { skip: lacks(shell) }, async () => {
    const command = `'${process.execPath}' '${cli}' env --data-dir '${cloud.dataDir}'`
    const variables = await inShell(
      shell,
      `set -eu; eval "$(${command})"; printf '%s\\n' "$AZURE_CLIENT_SECRET" "$NODE_EXTRA_CA_CERTS"`,
    )
    assert.deepEqual(variables.split('\n'), [administrator.clientSecret, caCertificate, ''])
    // Found in place of az. It tells its arguments, and its input for a login.
    const recorder = `az() { printf '<%s>' "$@"; case "$*" in *'@-'*) printf ' read '; cat;; *unregister*) echo; return 1;; esac; echo; }`
    const called = await inShell(
      shell,
      `set -e; ${recorder}; eval "$(${command} --format az)"; printf '%s\\n' "$REQUESTS_CA_BUNDLE" "$AZURE_CORE_INSTANCE_DISCOVERY"`,
    )
    const lines = called.split('\n')
    const login = lines.find(line => line.startsWith('<login>')) ?? ''
    assert.match(login, new RegExp(`<--tenant><${tenantId}><--username><${administrator.clientId}><--password=@->`))
    assert.equal(login.split(' read ')[1], administrator.clientSecret, 'through the pipe')
    assert.equal(called.split(administrator.clientSecret).length, 2, 'and nowhere else')
    assert.ok(lines.some(line => line.startsWith('<cloud><register>') && line.includes(`<${resourceManager}>`)))
    assert.deepEqual(lines.slice(-3), [caCertificate, 'false', ''])
  })

test('where a proxy is set, it is not asked for the names of the cloud', async () => {
  const words = ['env', '--data-dir', cloud.dataDir]
  const env = { ...process.env, HTTPS_PROXY: 'http://127.0.0.1:9', NO_PROXY: 'example.org, .example.net', no_proxy: '' }
  const names = 'example.org,.example.net,localhost,.localhost,127.0.0.1,::1'
  const shell = await say(words, { env })
  assert.ok(shell.out.endsWith(`export NO_PROXY='${names}'\nexport no_proxy='${names}'\n`), shell.out)
  assert.ok((await say([...words, '--format', 'az'], { env })).out.includes(`export NO_PROXY='${names}'\n`))
  const without = {
    ...env,
    HTTPS_PROXY: '',
    https_proxy: '',
    HTTP_PROXY: '',
    http_proxy: '',
    ALL_PROXY: '',
    all_proxy: '',
  }
  assert.doesNotMatch((await say(words, { env: without })).out, /proxy/i)
  const program = `${root}examples/rotate.ts`
  const run = await say(['run', '--data-dir', cloud.dataDir, program], { env })
  assert.equal(run.code, 0, run.err)
})

test('machine formats stand alone on stdout, without colours or notes, whatever the terminal', async () => {
  const env = { ...process.env, FORCE_COLOR: '1', CLICOLOR_FORCE: '1', TERM: 'xterm-256color' }
  for (const words of [
    ['env', '--format', 'json'],
    ['prove', '--format', 'json'],
    ['clock', '--format', 'json'],
  ]) {
    const { out, err } = await say([...words, '--data-dir', cloud.dataDir], { env })
    if (words[0] !== 'clock') assert.doesNotThrow(() => JSON.parse(out), words.join(' '))
    assert.ok(!(out + err).includes('\u001b'), words.join(' '))
  }
  const { out } = await say(['audit', '--format', 'json', '--data-dir', cloud.dataDir], { env })
  for (const line of out.trimEnd().split('\n')) assert.doesNotThrow(() => JSON.parse(line))
  for (const words of [['audit'], ['prove'], ['doctor'], ['help']]) {
    const dir = words[0] === 'help' ? [] : ['--data-dir', cloud.dataDir]
    assert.ok(!(await say([...words, ...dir], { env })).out.includes('\u001b'), words[0])
  }
})

test('git ignores every folder and file that the documents tell people to make', { skip: notACheckout() }, async () => {
  const documents = ['README.md', 'docs/clients.md', 'docs/audit.md', 'docs/outside-vaults.md', 'examples/seed.yaml']
  const texts = await Promise.all(documents.map(name => readFile(`${root}${name}`, 'utf8')))
  const made = texts.join('\n').matchAll(/--(?:data-dir|diagnostics-dir) (\.?[/\w.-]+)|--seed ((?!examples)[\w./-]+)/g)
  const paths = [...new Set([...made].map(([, folder, file]) => file ?? `${folder}/`))].filter(path => path !== 'DIR/')
  assert.ok(paths.includes('./cloud/'))
  for (const path of paths)
    assert.equal(spawnSync('git', ['check-ignore', '-q', path], { cwd: root }).status, 0, `${path} is not ignored`)
})

/** For `{ skip }`: an unpacked archive has no repository. */
function notACheckout(): string | false {
  const { status } = spawnSync('git', ['rev-parse', '--git-dir'], { cwd: root })
  return status === 0 ? false : 'needs git and a checkout'
}
