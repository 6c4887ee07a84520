import assert from 'node:assert/strict'
import { chmod, cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { ownkey } from '../audit/ownkey.fixture.ts'
import { Azure, pause } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { refusedStart, serviceLog } from './database-writer.ts'

const outside = await mkdtemp(join(tmpdir(), 'ownkey-outside-'))
after(() => rm(outside, { recursive: true, force: true }))
const counter = join(outside, 'counter')
const program = join(outside, 'keep-head')
await writeFile(
  program,
  `#!/bin/sh\n[ "$1" = read ] && { cat '${outside}/kept' 2>/dev/null; exit 0; }\n[ "$1" = write ] && exec cat > '${outside}/kept'\nexit 2\n`,
)
await chmod(program, 0o700)
const HEAD = /^\d+:[0-9a-f]{32}:\d+:[0-9a-f]{32}\n$/u
const OLDER = /not the newest one of which .* knows: it is an older state: it stands at change \d+, and \d+ was known/u

/** Runs the work in the cloud's folder while it is stopped. */
async function whileStopped<T>(cloud: Awaited<ReturnType<typeof cloudFor>>, work: () => Promise<T>): Promise<T> {
  await cloud.stop()
  return work()
}

const head = async (dataDir: string): Promise<string> => {
  const { code, output, errors } = await ownkey('audit', 'head', '--data-dir', dataDir)
  assert.equal(code, 0, errors)
  assert.match(output, HEAD)
  return output.trim()
}

test('a whole older folder put back is found at start, by prove and by audit verify, with a head that was kept elsewhere · K2', async t => {
  const cloud = await cloudFor(t)
  const { dataDir } = cloud
  const azure = await Azure.in(cloud.endpoints)
  const account = await azure.account('fresh')
  const backup = join(outside, 'backup')
  await whileStopped(cloud, () => cp(dataDir, backup, { recursive: true }))
  await cloud.restart()
  await account.upload('after the backup')
  const known = await head(dataDir)
  const verify = (...args: string[]) => ownkey('audit', 'verify', '--data-dir', dataDir, ...args)
  const prove = (...args: string[]) => ownkey('prove', '--data-dir', dataDir, ...args)
  assert.equal((await verify('--known-head', known)).code, 0)
  assert.equal((await prove('--known-head', known)).code, 0)
  await cloud.stop()
  assert.equal((await verify('--known-head', known)).code, 0)
  assert.match(
    (await verify('--known-head', known)).output,
    /the folder is the one of the known head, or a later state/u,
  )

  const blobs = await readdir(join(dataDir, 'blobs'), { recursive: true })
  // For older records alone, the head beside them shows it.
  await cp(join(backup, 'records.db'), join(dataDir, 'records.db'))
  assert.match(await refusedStart(dataDir, '--known-head', known), /ends at change \d+, but \d+ were acknowledged/u)
  await cp(join(backup, 'records.head'), join(dataDir, 'records.head'))
  assert.match(await refusedStart(dataDir, '--known-head', known), OLDER)
  // Blobs that the older records don't name were not treated as orphans of uploads.
  assert.deepEqual(await readdir(join(dataDir, 'blobs'), { recursive: true }), blobs)
  await rm(dataDir, { recursive: true })
  await cp(backup, dataDir, { recursive: true })
  assert.match(await refusedStart(dataDir, '--known-head', known), OLDER)
  const stopped = await verify('--known-head', known)
  assert.equal(stopped.code, 1)
  assert.match(
    stopped.output.replaceAll(/\s+/g, ' '),
    /The folder is not the one that was known: it is an older state/u,
  )
  // Without a head kept elsewhere this can't be detected, as SECURITY.md says.
  await cloud.restart()
  assert.equal((await verify()).code, 0)
  const running = await verify('--known-head', known)
  assert.equal(running.code, 1)
  const proof = await prove('--known-head', known)
  assert.equal(proof.code, 1)
  assert.match(proof.output, /NOT as promised/u)

  // It goes on past the known counter, so the log has another history.
  for (let n = 0; n < 12; n++) await account.upload(`another history ${n}`)
  assert.ok(Number((await head(dataDir)).split(':')[0]) > Number(known.split(':')[0]))
  const { output } = await verify('--known-head', known)
  assert.match(output.replaceAll(/\s+/gu, ' '), /its history is another one: record \d+ of the audit log/u)
  await cloud.stop()
  assert.match(await refusedStart(dataDir, '--known-head', known), /its history is another one/u)
  for (const wrong of ['abc', `${known}0`, known.replace(':', ';')])
    assert.match(
      await refusedStart(dataDir, '--known-head', wrong),
      /must be one line as `ownkey audit head` prints it/u,
    )
})

for (const [where, kept] of [
  [`file:${counter}`, counter],
  [`command:${program}`, join(outside, 'kept')],
] as const) {
  const kind = where.slice(0, where.indexOf(':'))
  test(`with --freshness ${kind}: an older folder is refused, a crashed one is not`, async t => {
    const cloud = await cloudFor(t, ['--freshness', where])
    const { dataDir } = cloud
    assert.match(await serviceLog(dataDir), /holds no head yet: this folder is taken for the newest/u)
    const azure = await Azure.in(cloud.endpoints)
    const account = await azure.account(`fresh-${kind}`)
    const counterOf = async () => Number((await readFile(kept, 'utf8')).split(':')[0])
    const backup = join(outside, `backup-${kind}`)
    await whileStopped(cloud, () => cp(dataDir, backup, { recursive: true }))
    assert.equal(await readFile(kept, 'utf8'), (await ownkey('audit', 'head', '--data-dir', dataDir)).output)
    await cloud.restart()
    const before = await counterOf()
    await account.upload('after the backup')
    for (let tries = 0; (await counterOf()) <= before; tries++) {
      assert.ok(tries < 100, 'the head was not written')
      await pause(100)
    }
    // After a kill between a commit and the write of its head, the folder is the newer one.
    for (let round = 0; round < 3; round++) {
      await account.upload(`before a crash ${round}`)
      await cloud.restart('kill')
    }
    await cloud.stop()
    const newest = await readFile(kept, 'utf8')
    await rm(dataDir, { recursive: true })
    await cp(backup, dataDir, { recursive: true })
    assert.match(await refusedStart(dataDir, '--freshness', where), OLDER)
    assert.equal(await readFile(kept, 'utf8'), newest)
    // A folder that was emptied is an older one too.
    await rm(dataDir, { recursive: true })
    assert.match(await refusedStart(dataDir, '--freshness', where), OLDER)
  })
}

test('a place outside that can not be read or written ends the start, and says why', async () => {
  const dataDir = join(outside, 'unused')
  const wrong: [string, RegExp][] = [
    ['counter', /--freshness counter: it must be file:PATH or command:PROGRAM/u],
    [`file:${outside}/missing/counter`, /can't be written to \S+\/missing\/counter: its folder is not there/u],
    [`file:${outside}`, /can't be read/u],
    ['command:/bin/false', /\/bin\/false read ended with 1/u],
    ['command:/missing', /There is no \/missing\./u],
  ]
  for (const [value, reason] of wrong) assert.match(await refusedStart(dataDir, '--freshness', value), reason)
  await writeFile(join(outside, 'nonsense'), 'nonsense\n')
  assert.match(await refusedStart(dataDir, '--freshness', `file:${outside}/nonsense`), /must be one line/u)
})
