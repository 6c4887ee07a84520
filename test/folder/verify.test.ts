import assert from 'node:assert/strict'
import { copyFile, cp, mkdir, open, readdir, rename, stat, truncate, unlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { ownkey } from '../audit/ownkey.fixture.ts'
import { folderFor } from '../cli/command-line.fixture.ts'
import { removeRow, rowsIn, writeRows } from '../security/folder.ts'
import { Azure, pause, untilRefused } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { filesBelow, lonelyRecords } from './folder.fixture.ts'

async function verify(dataDir: string, ...args: string[]) {
  const { code, output, errors } = await ownkey('verify', '--data-dir', dataDir, '--format', 'json', ...args)
  assert.equal(errors, '', 'a pipe gets no bar')
  return { code, ...JSON.parse(output) }
}

test('verify reads a whole cloud, running or not, and changes nothing in it', async t => {
  const cloud = await cloudFor(t)
  const { dataDir } = cloud
  const azure = await Azure.in(cloud.endpoints)
  const [own, customers] = [await azure.account('own'), await azure.account('customers')]
  await (await azure.vault('kv-verify')).createRsaKey('k1', { keySize: 2048 })
  await azure.policy('kv-verify', 'add', customers.principalId)
  assert.equal((await customers.encrypt({ vault: 'kv-verify', name: 'k1' })).status, 200)
  for (const account of [own, customers, own]) await account.upload('verified', 'train.jsonl', 2000)
  const running = await verify(dataDir, '--whole')
  assert.deepEqual([running.code, running.ok, running.running], [0, true, true], JSON.stringify(running))
  assert.deepEqual([running.blobs, running.opened, running.closed, running.problems], [3, 3, [], []])
  assert.equal(running.audit.records.ok && running.audit.ok, true)
  const quick = await verify(dataDir)
  assert.deepEqual([quick.code, quick.blobs, quick.opened], [0, 3, 0])
  assert.match(quick.notLookedAt[0], /--whole reads every chunk/)

  await azure.policy('kv-verify', 'remove', customers.principalId)
  await untilRefused(() => customers.openai.files.list().then(({ data }) => customers.download(data[0]?.id ?? '')))
  const revoked = await verify(dataDir, '--whole')
  assert.deepEqual([revoked.code, revoked.opened], [0, 2])
  assert.equal(revoked.closed.length, 1)
  assert.match(
    `${revoked.closed[0].account} ${revoked.closed[0].blobs} ${revoked.closed[0].reason}`,
    /^customers 1 .*wrapKey/,
  )
  const text = await ownkey('verify', '--data-dir', dataDir, '--whole')
  assert.match(
    text.output.replaceAll(/\s+/g, ' '),
    /yes 2 of them read to their end.* the contents of 1 blobs of customers were not read/,
  )
  assert.match(text.output, /is whole, and its cloud runs/)

  await cloud.stop()
  const before = (await filesBelow(dataDir)).filter(({ path }) => !path.includes('/lock'))
  const stopped = await verify(dataDir, '--whole')
  assert.deepEqual([stopped.code, stopped.running, stopped.opened], [0, false, 2])
  assert.match(stopped.closed[0].reason, /is asked while the cloud runs/)
  const after = (await filesBelow(dataDir)).filter(({ path }) => !path.includes('/lock'))
  assert.deepEqual(after, before)
})

/** A stopped cloud with two accounts, to be copied and damaged. */
async function stoppedCloud(t: TestContext) {
  const cloud = await cloudFor(t)
  const azure = await Azure.in(cloud.endpoints)
  const [one, two] = [await azure.account('one'), await azure.account('two')]
  await one.upload('a', 'train.jsonl', 3000)
  await one.upload('b', 'train.jsonl', 3000)
  await two.upload('c', 'train.jsonl', 3000)
  await cloud.stop()
  return cloud
}

async function flip(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+')
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at)
  await file.write(Buffer.from([(buffer[0] ?? 0) ^ 1]), 0, 1, at)
  await file.close()
}

test('verify names each damage, at rest and in the running cloud', async t => {
  const cloud = await stoppedCloud(t)
  const folder = await folderFor(t)
  let copies = 0
  const copy = async (): Promise<{ path: string; blobs: string[] }> => {
    const path = join(folder, String((copies += 1)))
    await cp(cloud.dataDir, path, { recursive: true, preserveTimestamps: true })
    const blobs = await readdir(join(path, 'blobs'), { recursive: true, withFileTypes: true })
    return {
      path,
      blobs: blobs
        .filter(entry => entry.isFile())
        .map(entry => join(entry.parentPath, entry.name))
        .toSorted(),
    }
  }
  const damages: Record<string, [(path: string, blobs: string[]) => unknown, RegExp, whole?: true]> = {
    'a flipped bit of a chunk': [(_, [blob = '']) => flip(blob, 200_000), /Restore it from a backup/, true],
    'a flipped bit of the last chunk': [
      async (_, [blob = '']) => flip(blob, (await stat(blob)).size - 1),
      /its sealed bytes were changed/,
      true,
    ],
    'a flipped bit of a header': [(_, [blob = '']) => flip(blob, 40), /the header of its file is not the recorded one/],
    'a cut file': [(_, [blob = '']) => truncate(blob, 100_000), /its file has 100000 bytes, its record says/],
    'a missing file': [(_, [blob = '']) => unlink(blob), /its file \S+ is missing/],
    'two files that changed places': [
      async (path, [one = '', two = '']) => {
        await rename(one, join(path, 'x'))
        await rename(two, one)
        await rename(join(path, 'x'), two)
      },
      /header of its file is not the recorded one|its record says/,
    ],
    'a file that is not a blob': [
      path => writeFile(join(path, 'blobs/notes.txt'), 'x'),
      /blobs\/notes\.txt is not a sealed file/,
    ],
    'a record that was changed': [
      path =>
        lonelyRecords(path, database =>
          database.exec(`UPDATE records SET mac = x'00' WHERE collection = 'encryption.blobs'`),
        ),
      /encryption\.blobs/,
    ],
    'a record that is gone': [
      path => lonelyRecords(path, database => database.exec(`DELETE FROM records WHERE collection = 'openai.files'`)),
      /changed outside/,
    ],
    'a log that was cut': [
      path =>
        lonelyRecords(path, database =>
          database.exec(
            `DELETE FROM records WHERE id IN (SELECT max(id) FROM records WHERE collection = 'audit-entries') AND collection = 'audit-entries'`,
          ),
        ),
      /entries are missing at the end/,
    ],
    'a key state that is missing': [
      path => removeRow(path, 'encryption.key-states', rowsIn(path, 'accounts.accounts')[0]?.id ?? ''),
      /record of its present key is missing/,
    ],
    'a data key that is missing': [
      path => removeRow(path, 'encryption.data-keys', rowsIn(path, 'encryption.data-keys')[0]?.id ?? ''),
      /data key/,
    ],
    'an account that is missing': [
      path => removeRow(path, 'accounts.accounts', rowsIn(path, 'accounts.accounts')[0]?.id ?? ''),
      /its account is not there/,
    ],
    'a file record that is missing': [
      path => removeRow(path, 'openai.files', rowsIn(path, 'openai.files')[0]?.id ?? ''),
      /belongs to no file, model, checkpoint or deployment/,
    ],
    'a record of another owner': [
      async path => {
        const [one, two] = rowsIn(path, 'encryption.blobs')
        if (one === undefined || two === undefined) assert.fail('no records')
        await writeRows(path, [{ ...one, value: { ...one.value, blobId: two.value.blobId } }])
      },
      /names another owner or id than its own/,
    ],
  }
  for (const [name, [damage, says, whole]] of Object.entries(damages)) {
    const { path, blobs } = await copy()
    await damage(path, blobs)
    const found = await verify(path, '--whole')
    assert.equal(found.code, 1, `${name}: ${JSON.stringify(found)}`)
    assert.match(JSON.stringify([found.problems, found.audit]), says, name)
    if (whole) assert.equal((await verify(path)).code, 0, `${name} is found without --whole`)
    const text = await ownkey('verify', '--data-dir', path, '--whole')
    assert.deepEqual([text.code, /is NOT whole/.test(text.output)], [1, true], name)
  }
})

test('a running cloud is verified too: damage is found, and orphans are not a fault', async t => {
  const cloud = await stoppedCloud(t)
  await cloud.restart()
  const { dataDir } = cloud
  const names = await readdir(join(dataDir, 'blobs'), { recursive: true, withFileTypes: true })
  const [blob = ''] = names.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
  await mkdir(join(dataDir, 'blobs/zz'), { mode: 0o700 })
  await copyFile(blob, join(dataDir, 'blobs/zz/zz-orphan'))
  await utimes(join(dataDir, 'blobs/zz/zz-orphan'), 1, 1)
  const fresh = await verify(dataDir, '--whole')
  assert.deepEqual([fresh.code, fresh.files.orphans], [0, []], 'an upload may still be on its way to its record')
  await flip(blob, 200_000)
  const found = await verify(dataDir, '--whole')
  assert.equal(found.code, 1)
  assert.match(found.problems.join(), /^blob \S+ of (one|two): .*Restore it from a backup/)
  await cloud.stop()
  const stopped = await verify(dataDir)
  assert.deepEqual([stopped.code, stopped.files.orphans], [0, ['zz-orphan']])
  assert.match(
    (await ownkey('verify', '--data-dir', dataDir)).output.replaceAll(/\s+/g, ' '),
    /1 files, .* belong to no record/,
  )
})

test('verify under load finds nothing wrong, since changes during the check are not damage', async t => {
  const cloud = await cloudFor(t)
  const azure = await Azure.in(cloud.endpoints)
  const account = await azure.account('busy')
  for (let n = 0; n < 20; n++) await account.upload(`of before ${n}`)
  const load = new AbortController()
  const until = async (work: () => Promise<unknown>): Promise<void> => {
    while (!load.signal.aborted) await work()
  }
  const loads = [
    until(async () => account.openai.files.delete(await account.upload('and gone'))),
    until(() => account.upload('and stays')),
    until(async () => {
      await azure.arm('POST', `${azure.accountPath('busy')}/reEncrypt`, {})
      await pause(50)
    }),
  ]
  for (let round = 0; round < 4; round++) {
    const found = await verify(cloud.dataDir, '--whole')
    assert.deepEqual([found.code, found.problems], [0, []], JSON.stringify(found))
  }
  load.abort()
  await Promise.all(loads)
})
