/**
 * Makes a small data folder with a given version of the program, as the tests of formats open it later (test/data/folders):
 * `node scripts/make-folder.ts CHECKOUT NAME`, where CHECKOUT is a checkout of that version with its dependencies.
 */
import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Endpoints } from '../src/base/endpoints.ts'
import { resolveLocalNames } from '../src/http/local-names.mjs'
import { Azure, pause, type TestAccount } from '../test/support/azure.ts'

const [checkout = '', name = ''] = process.argv.slice(2)
if (checkout === '' || !/^[\w.-]+$/.test(name)) throw new Error('node scripts/make-folder.ts CHECKOUT NAME')
const folders = fileURLToPath(new URL('../test/data/folders/', import.meta.url))
const dataDir = await mkdtemp(join(tmpdir(), 'ownkey-make-folder-'))
const cli = resolve(checkout, 'src/cli.ts')
const child = spawn(
  process.execPath,
  [cli, 'start', '--data-dir', dataDir, '--port', '0', '--key-lease-seconds', '1'],
  {
    stdio: ['ignore', 'inherit', 'inherit'],
  },
)
process.on('exit', () => child.kill('SIGKILL'))
const endpoints = await ready()
resolveLocalNames()
setDefaultCACertificates([...getCACertificates('default'), await readFile(endpoints.caCertificate, 'utf8')])
const azure = await Azure.in(endpoints)
const files: { account: string; id: string; name: string; sha256: string }[] = []

const [own, customers] = [await azure.account('own'), await azure.account('customers')]
await (await azure.vault('kv-format')).createRsaKey('k1', { keySize: 2048 })
await azure.policy('kv-format', 'add', customers.principalId)
await remember(customers, 'stored before its own key')
must(await customers.encrypt({ vault: 'kv-format', name: 'k1' }))
await remember(customers, "stored under a customer's key")
await remember(own, "stored under the service's key")
// Sealed anew, since older programs used another file name for it.
const reEncrypted = await azure.arm('POST', `${azure.accountPath('own')}/reEncrypt`, {})
// Older programs do not have this route.
if (reEncrypted.status !== 404) must(reEncrypted)
for (let status = reEncrypted.status === 404 ? '' : 'InProgress'; status === 'InProgress'; await pause(200))
  status = (await azure.arm('GET', `${azure.accountPath('own')}/reEncryption`)).body.status
await remember(own, 'stored after the re-encryption')
must(await own.deploy('chat', 'gpt-4o-mini'))
const job = await own.train(files.at(-1)?.id ?? '')
await own.openai.fineTuning.jobs.cancel(job)
await own.openai.files.delete(await own.upload('and deleted'))
const { administrator, tenantId, subscriptionId } = endpoints
const expected = { administrator, tenantId, subscriptionId, port: endpoints.port, files, job, deployment: 'chat' }
child.kill('SIGTERM')
await once(child, 'exit')
await writeFile(join(dataDir, 'expected.json'), `${JSON.stringify(expected, null, 2)}\n`)
await mkdir(folders, { recursive: true })
// A start makes a new certificate authority where it is missing.
const without = ['lock', 'lock.pid', 'service.log', 'diagnostics', 'endpoints.json', 'ca'].map(
  one => `--exclude=./${one}`,
)
const archive = join(folders, `${name}.tar.gz`)
await promisify(execFile)('tar', ['-C', dataDir, '--owner=0', '--group=0', ...without, '-czf', archive, '.'])
await rm(dataDir, { recursive: true })
process.exit(0)

async function ready(): Promise<Endpoints> {
  for (let tries = 0; tries < 600; tries++) {
    const text = await readFile(join(dataDir, 'endpoints.json'), 'utf8').catch(() => undefined)
    if (text !== undefined) return JSON.parse(text) as Endpoints
    await pause(100)
  }
  throw new Error(`The cloud of ${cli} did not start.`)
}

async function remember(account: TestAccount, text: string): Promise<void> {
  const filename = `${text.replaceAll(/\W+/g, '-')}.jsonl`
  const id = await account.upload(text, filename)
  const sha256 = createHash('sha256')
    .update(await account.download(id))
    .digest('hex')
  files.push({ account: account.name, id, name: filename, sha256 })
}

function must({ status, body }: Awaited<ReturnType<Azure['arm']>>): void {
  if (status >= 300) throw new Error(JSON.stringify(body))
}
