import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { EMBEDDED_BASE } from '../../src/engines/catalogue.ts'
import { startEngineProcess } from '../../src/engines/engine-process.ts'
import { landlockVersion } from '../../src/engines/sandbox/landlock.ts'
import { callsOf } from '../../src/engines/sandbox/system-calls.ts'
import { Azure, BASE_MODEL } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { engineOf } from '../support/engine-processes.ts'
import { untilStep } from '../support/job-steps.ts'
import type { Attempt } from './attacker.child.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('sandbox')
const upload = await account.upload('secret words of a customer', 'train.jsonl', 100)
const { dataDir } = cloud
/** Copies, for a sandbox that is not tight. */
const own = mkdtempSync(join(tmpdir(), 'ownkey-sandbox-'))
after(() => rmSync(own, { recursive: true, force: true }))
const base = join(own, 'base.gguf')
copyFileSync(EMBEDDED_BASE.path, base)
writeFileSync(join(own, 'program.ts'), '')
const server = createServer().listen(0, '127.0.0.1')
after(() => server.close())
await once(server, 'listening')
const address = server.address()
assert.ok(address !== null && typeof address === 'object')

/** A frame of the attacker. */
async function attacked(attempts: readonly Attempt[]): Promise<Record<string, unknown>> {
  const engine = startEngineProcess(new URL('./attacker.child.ts', import.meta.url), 'attacker', {
    reads: [base],
  })
  try {
    await engine.send({ attempts })
    return (await engine.next()).header
  } finally {
    engine.kill()
    await engine.ended
  }
}

async function outcomesOf(attempts: readonly Attempt[]): Promise<Record<string, string>> {
  const { outcomes } = (await attacked(attempts)) as { outcomes: string[] }
  return Object.fromEntries(attempts.map(({ how, what }, index) => [`${how} ${what}`, outcomes[index] ?? '']))
}

/** ENOSYS: as if the kernel did not have the call. */
const REFUSALS = ['EACCES', 'EPERM', 'ENOSYS', 'refused']

async function allRefused(attempts: readonly Attempt[]): Promise<void> {
  const outcomes = await outcomesOf(attempts)
  const done = Object.entries(outcomes).filter(([, outcome]) => !REFUSALS.includes(outcome))
  assert.deepEqual(done, [], 'it succeeded, or failed for another reason than a refusal')
}

const processor = process.arch === 'arm64' ? 'arm64' : 'x64'
const hasLandlock = process.platform === 'linux' && landlockVersion() !== undefined
const skip = hasLandlock ? false : 'only a kernel with Landlock confines engines'
const FOLDER = ['root.key', 'records.db', 'endpoints.json', 'service.log', 'ca/ca.key', 'ca/ca.pem']

test(
  'an engine reads its base model, and nothing of the data folder, of homes, of /etc and of other processes',
  { skip },
  async () => {
    assert.deepEqual(await outcomesOf([{ how: 'read', what: base }]), {
      [`read ${base}`]: 'done',
    })
    const files = FOLDER.map(name => join(dataDir, name)).filter(path => existsSync(path))
    assert.ok(files.length >= 3, files.join(' '))
    const others = ['/etc/passwd', '/etc/hostname', `/proc/${process.pid}/environ`, `/proc/${process.pid}/maps`]
    await allRefused([
      ...[...files, ...others, `/proc/${cloud.pid}/cmdline`, `/proc/${cloud.pid}/environ`].map((what): Attempt => ({
        how: 'read',
        what,
      })),
      ...[dataDir, join(dataDir, 'blobs'), homedir(), tmpdir(), '/etc', '/', '/proc', `/proc/${cloud.pid}/fd`].map(
        (what): Attempt => ({ how: 'list', what }),
      ),
    ])
  },
)

test('an engine writes and removes nothing', { skip }, async () => {
  const program = join(own, 'program.ts')
  const paths = [join(tmpdir(), 'by-an-engine'), join(dataDir, 'by-an-engine'), join(dataDir, 'root.key'), base]
  const before = statSync(base).mtimeMs
  await allRefused([
    ...[...paths, program, '/dev/shm/by-an-engine', '/proc/self/oom_score_adj'].map((what): Attempt => ({
      how: 'write',
      what,
    })),
    ...[join(dataDir, 'records.db'), base, program].map((what): Attempt => ({ how: 'remove', what })),
  ])
  assert.equal(statSync(base).mtimeMs, before)
  assert.ok(!existsSync(join(tmpdir(), 'by-an-engine')))
})

test('an engine reaches no port and no socket, from any of its threads', { skip }, async () => {
  await allRefused([
    { how: 'connect', what: cloud.endpoints.port },
    { how: 'connect', what: address.port },
    { how: 'unix', what: '/run/systemd/private' },
    { how: 'unix', what: '\0abstract' },
    ...['socket', 'socketpair', 'bind', 'listen'].map((name): Attempt => ({
      how: 'call',
      what: callsOf('network', processor).get(name) ?? 0,
    })),
  ])
})

test('an engine starts no program, setuid or not, from any of its threads', { skip }, async () => {
  const setuid = ['/usr/bin/su', '/bin/su', '/usr/bin/passwd', '/bin/ping'].filter(path => existsSync(path))
  await allRefused([
    ...['/bin/sh', '/usr/bin/true', process.execPath, ...setuid].map((what): Attempt => ({ how: 'run', what })),
    { how: 'worker', what: '/bin/true' },
  ])
})

const GROUPS = ['otherProcesses', 'kernel', 'identity', 'shared', 'changesOfFiles', 'opaque'] as const

test('an engine neither signals, traces nor reads other processes', { skip }, async () => {
  await allRefused([
    ...[process.pid, process.ppid, cloud.pid, 1].map((what): Attempt => ({ how: 'signal', what })),
    ...[process.pid, cloud.pid].map((what): Attempt => ({ how: 'memory', what })),
    ...GROUPS.flatMap(group => [...callsOf(group, processor).values()]).map((what): Attempt => ({ how: 'call', what })),
  ])
})

test('an engine has nothing of the service in its environment', { skip }, async () => {
  process.env['OWNKEY_TEST_SECRET'] = 'a secret of the service'
  const { environment } = await attacked([])
  delete process.env['OWNKEY_TEST_SECRET']
  const given = Object.keys(environment as object).filter(name => name !== 'NODE_COMPILE_CACHE')
  assert.deepEqual(
    given.toSorted(),
    ['HOME', 'LANG', 'OPENSSL_CONF', 'PATH', 'PWD'].filter(name => given.includes(name)),
  )
})

/** Lines of /proc/PID/status. */
function statusOf(pid: number): Readonly<Record<string, string>> {
  const lines = readFileSync(`/proc/${pid}/status`, 'utf8').split('\n')
  return Object.fromEntries(lines.map(line => [line.split(':')[0] ?? '', line.slice(line.indexOf(':') + 1).trim()]))
}

test(
  'the engines of a deployment and of a job are confined in all their threads, and hold no file of the data folder',
  { skip },
  async () => {
    await account.deploy('confined', BASE_MODEL)
    assert.notEqual(await account.chat('confined'), '')
    const jobId = await account.train(upload, { hyperparameters: { n_epochs: 2, batch_size: 1 } })
    await untilStep(account, jobId, 5)
    for (const pid of [await engineOf(cloud.pid, 'inference'), await engineOf(cloud.pid, 'trainer')]) {
      for (const thread of readdirSync(`/proc/${pid}/task`)) {
        const status = statusOf(Number(thread))
        assert.equal(status['NoNewPrivs'], '1')
        assert.equal(status['Seccomp'], '2')
        assert.equal(status['Seccomp_filters'], '2')
        assert.ok(['0000000000000000', '0000000000000004'].includes(status['CapEff'] ?? ''), status['CapEff'])
      }
      const files = readdirSync(`/proc/${pid}/fd`).map(fd => readlinkSync(`/proc/${pid}/fd/${fd}`))
      assert.deepEqual(
        files.filter(file => file.startsWith(dataDir)),
        [],
      )
      // stdin, stderr, frames, signs of life.
      assert.equal(files.filter(file => file.startsWith('socket:')).length, 4, files.join(' '))
    }
    await account.jobIs(jobId, ['succeeded'], 120)
  },
)
