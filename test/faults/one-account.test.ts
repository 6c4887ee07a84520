import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { startCloudProcess } from '../../src/harness/cloud-process.ts'
import { Azure, refusal } from '../support/azure.ts'

/** Texts in the id or value of records of this account and of no other: its name and its inner id. */
function marksOf(dataDir: string, name: string): string[] {
  const database = new DatabaseSync(join(dataDir, 'records.db'), { readOnly: true })
  const row = database
    .prepare("SELECT id FROM records WHERE collection = 'accounts.accounts' AND instr(value, ?) > 0")
    .get(name)
  database.close()
  return [name, String(row?.['id'])]
}

const isOf = (marks: readonly string[]): string =>
  marks
    .map(mark => `instr(lower(id), '${mark.toLowerCase()}') > 0 OR instr(lower(value), '${mark.toLowerCase()}') > 0`)
    .join(' OR ')

/** Changes the account's records of a collection, so that their MACs don't fit. Returns their number. */
function damage(dataDir: string, collection: string, marks: readonly string[]): number {
  const database = new DatabaseSync(join(dataDir, 'records.db'))
  const { changes } = database
    .prepare(`UPDATE records SET value = value || ' ' WHERE collection = ? AND (${isOf(marks)})`)
    .run(collection)
  database.close()
  return Number(changes)
}

function collectionsOf(dataDir: string, marks: readonly string[]): string[] {
  const database = new DatabaseSync(join(dataDir, 'records.db'), { readOnly: true })
  const rows = database
    .prepare(`SELECT DISTINCT collection FROM records WHERE collection NOT LIKE 'audit%' AND (${isOf(marks)})`)
    .all()
  database.close()
  return rows.map(row => String(row['collection']))
}

test('damaged records of one account, of whatever collection, hurt that account alone: the cloud starts, and its neighbour works', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'ownkey-one-account-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const whole = join(folder, 'whole')
  const first = await startCloudProcess(whole)
  const azure = await Azure.in(first.endpoints)
  const keys = await azure.vault('kv-one')
  const key = (await keys.createRsaKey('cmk', { keySize: 2048 })).properties.version
  const [hurt, neighbour] = [await azure.account('hurtone'), await azure.account('neighbour')]
  await azure.policy('kv-one', 'add', hurt.principalId)
  const fileId = await hurt.upload('of the one that is hurt')
  const kept = await neighbour.upload('of the neighbour')
  const job = await hurt.jobIs(await hurt.train(fileId), ['succeeded'])
  await hurt.deploy('tuned', job.fine_tuned_model ?? '')
  assert.equal((await hurt.encrypt({ vault: 'kv-one', name: 'cmk', version: key })).status, 200)
  await hurt.upload('under its key')
  const bytes = await neighbour.download(kept)
  await first.stop()

  const marks = marksOf(whole, 'hurtone')
  const collections = collectionsOf(whole, marks)
  t.diagnostic(collections.join(' '))
  assert.ok(collections.length > 8, collections.join())
  // One after another with OWNKEY_LONG=1, otherwise by topic.
  const groups = Object.values(
    Object.groupBy(collections, name => (process.env['OWNKEY_LONG'] ? name : name.split('.')[0]) ?? ''),
  )
  for (const all of [...groups, collections]) {
    assert.ok(all)
    const of = join(folder, 'damaged')
    await rm(of, { recursive: true, force: true })
    execFileSync('cp', ['-a', whole, of])
    assert.ok(all.every(name => damage(of, name, marks) > 0))
    const title = all.join()
    const cloud = await startCloudProcess(of, ['--port', String(first.endpoints.port)])
    assert.deepEqual(await neighbour.download(kept), bytes, title)
    const added = await neighbour.upload('more of the neighbour')
    assert.ok(
      (await neighbour.openai.files.list()).data.some(({ id }) => id === added),
      title,
    )
    assert.equal((await neighbour.patch({ tags: { seen: 'yes' } })).status, 200, title)
    const answers = [
      await refusal(() => hurt.download(fileId)),
      await refusal(() => hurt.upload('x')),
      await refusal(() => hurt.chat('tuned')),
    ]
    for (const answer of answers.filter(found => found !== undefined))
      assert.ok(
        answer.status === 500 ? answer.code === 'RecordTampered' : answer.status < 500,
        `${title}: ${JSON.stringify(answer)}`,
      )
    await cloud.stop()
  }
})
