import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, beforeEach, suite, test } from 'node:test'
import { ownkey } from '../audit/ownkey.fixture.ts'
import { Azure, pause } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { failBy, failures, forgetRules, noCompiler } from './failing-disk.ts'

suite('a commit whose sync failed is unknown', { skip: noCompiler }, async () => {
  after(forgetRules)
  if (noCompiler !== false) return
  const cloud = await cloudFor({ after })
  const azure = await Azure.in(cloud.endpoints)
  const account = await azure.account('unknown')
  // Requests without an answer are checked, not repeated.
  account.openai.maxRetries = 0
  beforeEach(() => failBy())

  /** The process ends by itself with one line, and the next start finds a consistent folder. */
  async function endsAndStartsAgain(): Promise<void> {
    const code = await Promise.race([cloud.ended, pause(10_000).then(() => 'still running')])
    assert.equal(code, 74)
    const log = await readFile(join(cloud.dataDir, 'service.log'), 'utf8')
    const said = log.split('\n').filter(line => line.startsWith('ownkey: '))
    assert.match(said.at(-1) ?? '', /^ownkey: The disk failed to make .+ durable \(.+\)\. .+start OwnKey again\.$/)
    await failBy()
    await cloud.restart()
    const { output, code: proof } = await ownkey('prove', '--data-dir', cloud.dataDir)
    assert.equal(proof, 0, output)
  }

  /** Files that are listed open, and refused ones are not half there. */
  async function everyFileOpens(): Promise<string[]> {
    const { data } = await account.openai.files.list()
    for (const { id } of data) assert.notEqual((await account.download(id)).length, 0)
    return data.map(({ id }) => id)
  }

  test('an upload: the answer says that it is not known, and the file is there whole or not at all', async () => {
    const before = await account.upload('acknowledged before')
    await failBy({ calls: 'sync', part: 'records.db-wal', error: 'EIO', count: 1 })
    const answer = await outcome(() => account.upload('in between'))
    assert.equal(answer?.status, 500)
    assert.equal(answer.code, 'OutcomeUnknown')
    assert.match(answer.message, /not known whether it was/)
    await endsAndStartsAgain()
    assert.ok((await everyFileOpens()).includes(before))
  })

  test('a re-encryption: no acknowledged file is lost, and it ends as what it was', async () => {
    const files: string[] = []
    for (let n = 0; n < 6; n += 1) files.push(await account.upload(`kept ${n}`, 'big.jsonl', 200))
    const path = `${azure.accountPath(account.name)}/reEncrypt`
    for (const from of [2, 4]) {
      await failBy({ calls: 'sync', part: 'records.db-wal', error: 'EIO', from, count: 1 })
      await azure.arm('POST', path).catch(() => undefined)
      await endsAndStartsAgain()
      const there = await everyFileOpens()
      assert.deepEqual(
        files.filter(id => !there.includes(id)),
        [],
      )
    }
  })

  test('after it nothing is written any more', async () => {
    await failBy({ calls: 'sync', part: 'records.db-wal', error: 'EIO', count: 1 })
    const answers = await Promise.all(Array.from({ length: 12 }, (_, n) => outcome(() => account.upload(`many ${n}`))))
    for (const answer of answers) {
      // There is no answer, since the connection came too late.
      if (answer === undefined || answer.status === 0) continue
      assert.ok(['OutcomeUnknown', 'StorageUnavailable'].includes(answer.code), JSON.stringify(answer))
    }
    assert.equal(await failures(), 1)
    await endsAndStartsAgain()
    await everyFileOpens()
  })

  test('a folder of blobs whose sync failed ends the process too', async () => {
    await failBy({ calls: 'sync', part: '/blobs/', error: 'EIO', from: 2, count: 1 })
    const answer = await outcome(() => account.upload('its folder'))
    assert.equal(answer?.code, 'StorageUnavailable')
    await endsAndStartsAgain()
    await everyFileOpens()
  })

  test('the process ends also where its own log lies on that disk, and a native library syncs it at the end', async () => {
    await Promise.all(Array.from({ length: 6 }, (_, n) => account.upload(`of many ${n}`)))
    const loads = async (): Promise<boolean> => (await readFile(`/proc/${cloud.pid}/maps`, 'utf8')).includes('koffi')
    for (let n = 0; n < 100 && !(await loads()); n += 1) await pause(100)
    assert.ok(await loads(), 'what gives memory back was not loaded')
    await failBy({ calls: 'sync', part: 'ownkey-test-', error: 'EIO' })
    assert.notEqual(await outcome(() => account.upload('lost')), undefined)
    await endsAndStartsAgain()
    await everyFileOpens()
  })

  for (const from of [1, 2, 3])
    test(`a clean end whose sync fails, the ${from}. one of its log, is not clean, and says so`, async () => {
      const before = await account.upload(`before the end ${from}`)
      await failBy({ calls: 'sync', part: 'records.db-wal', error: 'EIO', from, count: 1 })
      const code = await cloud.stop()
      const failed = await failures()
      await failBy()
      const log = await readFile(join(cloud.dataDir, 'service.log'), 'utf8')
      await cloud.restart()
      assert.ok((await everyFileOpens()).includes(before))
      // An end needs fewer syncs.
      if (failed === 0) return
      assert.equal(code, 74)
      assert.match(log.trim().split('\n').at(-1) ?? '', /^ownkey: The disk failed to make .+ durable/)
    })

  test('a blob that does not reach the disk is refused', async () => {
    const before = await everyFileOpens()
    await failBy({ calls: 'sync', part: '/blobs/incoming/', error: 'EIO', count: 1 })
    const answer = await outcome(() => account.upload('its bytes'))
    assert.equal(answer?.status, 503)
    assert.equal(answer.code, 'StorageUnavailable')
    assert.deepEqual(await everyFileOpens(), before)
    assert.notEqual(await account.upload('again'), '')
  })
})

interface Answer {
  readonly status: number
  readonly code: string
  readonly message: string
}

/** Undefined: done. Status 0: cut off. Without retries. */
async function outcome(run: () => Promise<unknown>): Promise<Answer | undefined> {
  try {
    await run()
    return undefined
  } catch (error) {
    const { status = 0, code = '', message } = error as { status?: number; code?: string; message: string }
    return { status, code, message }
  }
}
