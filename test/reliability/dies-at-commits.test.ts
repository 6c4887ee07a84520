import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { auditRecords, ownkey } from '../audit/ownkey.fixture.ts'
import { Azure, pause, refusal, type Reply } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const folder = await mkdtemp(join(tmpdir(), 'ownkey-die-'))
after(() => rm(folder, { recursive: true, force: true }))
const control = join(folder, 'die-at')
process.env['OWNKEY_TEST_DIE_AT'] = control
process.env['NODE_OPTIONS'] = `--import=${new URL('../support/die-at-commit.mjs', import.meta.url).href}`
const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const { location } = cloud.endpoints
/** A purge has many commits. */
const STEP = process.env['OWNKEY_LONG'] === '1' ? 1 : 3

/** Does it again and again, and dies at its first commit, at its second (or `step` later), and so on, until it ends before. Resolves to the rounds. */
async function dyingAtEach(
  act: (round: number) => Promise<unknown>,
  check: (round: number) => Promise<void>,
  step = 1,
): Promise<number[]> {
  const rounds: number[] = []
  for (let at = 1; ; at += step) {
    rounds.push(at)
    assert.ok(at < 30, 'it never ends')
    await writeFile(control, String(at))
    const isDone = await act(at).then(
      () => true,
      () => false,
    )
    await rm(control, { force: true })
    const hasDied = await Promise.race([cloud.ended.then(() => true), pause(isDone ? 50 : 5000)])
    if (hasDied) await cloud.restart('kill')
    await check(at)
    if (!hasDied) return rounds
  }
}

async function isWhole(): Promise<void> {
  const verified = await ownkey('verify', '--whole', '--data-dir', cloud.dataDir)
  assert.equal(verified.code, 0, `${verified.output}${verified.errors}`)
}

const told = (t: TestContext, rounds: readonly number[]): void => {
  t.diagnostic(`${rounds.length - 1} deaths`)
  assert.ok(rounds.length > 1)
}

async function untilEnded(started: Reply): Promise<void> {
  const { pathname, search } = new URL(started.headers.get('location') ?? '')
  while ((await azure.armRoot('GET', `${pathname}${search}`)).status === 202) await pause(20)
}

test('an account that is made when the service dies at any commit is there with its keys, or not at all', async t => {
  const rounds = await dyingAtEach(
    round => azure.account(`made-${round}`),
    async round => {
      const { status } = await azure.arm('GET', azure.accountPath(`made-${round}`))
      assert.ok(status === 200 || status === 404, String(status))
      const account = await azure.account(`made-${round}`)
      assert.match((await account.download(await account.upload('first'))).toString(), /first/)
    },
  )
  told(t, rounds)
  await isWhole()
})

test('R26: a file whose job is cancelled and that is then deleted when the service dies at any commit is whole or gone', async t => {
  const account = await azure.account('deleting')
  account.openai.maxRetries = 0
  const jobs: string[] = []
  const files: string[] = []
  for (let n = 0; n < 12; n += 1) {
    files.push(await account.upload(`file ${n}`, 'file.jsonl', 200))
    jobs.push(await account.train(String(files.at(-1)), { hyperparameters: { n_epochs: 50, batch_size: 1 } }))
  }
  const rounds = await dyingAtEach(
    async round => {
      await account.openai.fineTuning.jobs.cancel(String(jobs[round]))
      await account.openai.files.delete(String(files[round]))
    },
    async round => {
      const [file, job] = [String(files[round]), String(jobs[round])]
      const gone = await refusal(() => account.openai.files.retrieve(file))
      const { status } = await account.openai.fineTuning.jobs.retrieve(job)
      if (gone !== undefined) assert.deepEqual([gone.status, status], [404, 'cancelled'])
      else assert.match((await account.download(file)).toString(), new RegExp(`file ${round}`))
    },
  )
  told(t, rounds)
  for (const job of jobs) await account.openai.fineTuning.jobs.cancel(job).catch(() => undefined)
  await isWhole()
})

test('R28: an account that is deleted and purged when the service dies at any commit is gone in the end, with one record of each purge', async t => {
  const pathOf = (name: string): string =>
    `/providers/Microsoft.CognitiveServices/locations/${location}/resourceGroups/${azure.group}/deletedAccounts/${name}`
  for (let n = 1; n < 30; n += STEP) await (await azure.account(`going-${n}`)).upload(`file of ${n}`)
  const rounds = await dyingAtEach(
    async round => {
      await untilEnded(await azure.arm('DELETE', azure.accountPath(`going-${round}`)))
      await untilEnded(await azure.arm('DELETE', pathOf(`going-${round}`)))
    },
    async round => {
      const name = `going-${round}`
      const isLive = (await azure.arm('GET', azure.accountPath(name))).status === 200
      if (isLive) await untilEnded(await azure.arm('DELETE', azure.accountPath(name)))
      const asked = await azure.arm('DELETE', pathOf(name))
      if (asked.status === 202) await untilEnded(asked)
      for (let tries = 0; tries < 100; tries += 1)
        if ((await azure.arm('GET', pathOf(name))).status === 404) return
        else await pause(50)
      assert.fail(`${name} is still there`)
    },
    STEP,
  )
  told(t, rounds)
  await isWhole()
  const all = await auditRecords(cloud.dataDir, '--last', '5000')
  const records = all.filter(({ operationName }) => operationName.includes('/deletedAccounts/'))
  for (const round of rounds) {
    const own = records.filter(({ resourceId }) => resourceId.endsWith(`/GOING-${round}`))
    const begun = own.filter(({ resultDescription }) => resultDescription === 'Purge begun')
    const done = own.filter(({ resultDescription }) => resultDescription.startsWith('Purged: '))
    assert.deepEqual([begun.length, done.length], [1, 1], String(round))
  }
})
