import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Azure, refusal } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { removeRow, rowsIn, writeRows, type Row } from './folder.ts'
import { changed, during, prove, rowOf, written } from './writer.fixture.ts'

const cloud = await cloudFor({ after })

const CANARY = 'only the victim may read this'
const azure = await Azure.in(cloud.endpoints)
const [victim, evil] = [await azure.account('victim', 'None'), await azure.account('evil', 'None')]
const [theirs, own] = [await victim.upload(CANARY, 'theirs-by-name.jsonl'), await evil.upload('own data')]
const train = async (account: typeof evil, file: string): Promise<{ job: string; model: string }> => {
  const { id, fine_tuned_model: model } = await account.jobIs(await account.train(file), ['succeeded'])
  return { job: id, model: model ?? '' }
}
const [theirsTrained, ownTrained] = [await train(victim, theirs), await train(evil, own)]
assert.equal((await evil.deploy('own-copy', ownTrained.model)).status, 201)
assert.equal((await victim.deploy('their-copy', theirsTrained.model)).status, 201)
assert.equal((await prove(cloud)).code, 0, 'before anybody writes, everything is as promised')

const row = (folder: string, collection: string, needle: string): Row =>
  rowOf(folder, collection, ({ id, value }) => `${id} ${JSON.stringify(value)}`.includes(needle))
const blobOf = (folder: string, blobId: string): Row => row(folder, 'encryption.blobs', `/${blobId} `)

/** Checks that nobody gets the victim's data, every attempt is refused as damaged data, and prove reports it. */
async function servesNothing(attempts: Readonly<Record<string, () => Promise<unknown>>>, status = 500): Promise<void> {
  for (const [what, attempt] of Object.entries(attempts)) {
    const refused = await refusal(attempt)
    assert.equal(refused?.status, status, `${what}: ${JSON.stringify(refused)}`)
  }
  const { code, problems } = await prove(cloud)
  assert.equal(code, 1)
  assert.notEqual(problems, '')
}

test('K5: a file’s row that names another account’s blob serves nothing, its name neither', async () => {
  const plant = (fields: (theirs: Row) => object) => (folder: string) =>
    changed([row(folder, 'openai.files', own)], fields(row(folder, 'openai.files', theirs)))
  for (const fields of [
    ({ value }: Row) => ({ accountId: value.accountId, blobId: value.blobId, bytes: value.bytes }),
    ({ value }: Row) => value,
  ])
    await during(cloud, plant(fields), async () => {
      await servesNothing({
        content: () => evil.download(own),
        file: () => evil.openai.files.retrieve(own),
        job: () => evil.train(own),
        delete: () => evil.openai.files.delete(own),
      })
      assert.doesNotMatch(JSON.stringify(await evil.openai.files.list()), /theirs-by-name/)
      assert.match((await victim.download(theirs)).toString(), new RegExp(CANARY), 'nor is it destroyed')
    })
  // With the thief's own account in it there is no such blob.
  await during(
    cloud,
    plant(({ value }) => ({ blobId: value.blobId })),
    async () => {
      await servesNothing({ content: () => evil.download(own) }, 404)
      assert.equal((await evil.openai.files.delete(own)).deleted, true)
      assert.match((await victim.download(theirs)).toString(), new RegExp(CANARY), 'the file of the victim stays')
    },
  )
})

test('K5: a blob’s record that says it is another account’s is not opened under that account’s key', async () => {
  const plant = (folder: string): Row[] => {
    const mine = row(folder, 'openai.files', own)
    const { blobId } = row(folder, 'openai.files', theirs).value
    const blob = blobOf(folder, blobId)
    return [{ ...blob, id: `${mine.value.accountId}/${blobId}` }, ...changed([mine], { blobId })]
  }
  await during(cloud, plant, () => servesNothing({ content: () => evil.download(own), job: () => evil.train(own) }))
})

test('K5: a model, a checkpoint, a job and a deployment of another account serve nothing under one’s own name', async () => {
  const plant = (folder: string): Row[] => {
    const pair = (collection: string, mine: string, others: string): Row[] => [
      { ...row(folder, collection, mine), value: row(folder, collection, others).value },
    ]
    return [
      ...pair('openai.models', ownTrained.model, theirsTrained.model),
      ...pair('openai.jobs', ownTrained.job, theirsTrained.job),
      ...pair('openai.checkpoints', ownTrained.job, theirsTrained.job),
      ...pair('accounts.deployments', 'own-copy', 'their-copy'),
    ]
  }
  await during(cloud, plant, async () => {
    await servesNothing({
      model: () => evil.openai.models.retrieve(ownTrained.model),
      deploy: () => evil.deploy('another', ownTrained.model),
      job: () => evil.openai.fineTuning.jobs.retrieve(ownTrained.job),
      chat: () => evil.chat('own-copy'),
    })
  })
})

test('K5: a blob of another kind is refused for a file or a model', async () => {
  const plant = (folder: string): Row[] => {
    const blobId = row(folder, 'openai.models', ownTrained.model).value.blobId
    return changed([row(folder, 'openai.files', own)], { blobId })
  }
  await during(cloud, plant, () => servesNothing({ content: () => evil.download(own) }))
  // A result has a sealed name like training data, so it would open.
  const ofResult = (folder: string): Row[] => {
    const mine = row(folder, 'openai.files', own)
    const isResult = ({ value }: Row): boolean =>
      value.purpose === 'fine-tune-results' && value.accountId === mine.value.accountId
    const { blobId, bytes } = rowOf(folder, 'openai.files', isResult).value
    return changed([mine], { blobId, bytes })
  }
  await during(cloud, ofResult, () => servesNothing({ content: () => evil.download(own) }))
})

test('prove finds a file without its blob, a blob that nothing names, and a size that is not its blob’s', async () => {
  const look = async (write: (folder: string) => readonly Row[], why: RegExp): Promise<void> => {
    let removed: readonly Row[] = []
    await written(cloud, async folder => {
      removed = write(folder)
      for (const { collection, id } of removed) await removeRow(folder, collection, id)
    })
    const { code, problems } = await prove(cloud)
    assert.equal(code, 1)
    assert.match(problems, why)
    await written(cloud, folder => writeRows(folder, removed))
  }
  await look(folder => [row(folder, 'openai.files', own)], /the blob \S+ belongs to no file/)
  await look(
    folder => rowsIn(folder, 'accounts.deployments'),
    /the blob \S+ belongs to no file, model, checkpoint or deployment/,
  )
  const size = (folder: string): Row[] => changed([row(folder, 'openai.files', own)], { bytes: 1 })
  await during(cloud, size, async () => assert.match((await prove(cloud)).problems, /has 1 bytes, its blob \d+/))
  const { code, problems, text } = await prove(cloud)
  assert.equal(code, 0, `put back, everything is as promised: ${problems} ${problems === '' ? text : ''}`)
})

test('prove exits 1 where there was nothing to look at', async t => {
  const bare = await cloudFor(t)
  const { code, text } = await prove(bare)
  assert.equal(code, 1)
  assert.match(text, /"nothingLookedAt": true/)
  await (await Azure.in(bare.endpoints)).account('empty', 'None')
  const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
  const said = await new Promise<string>(resolve => {
    execFile(process.execPath, [cli, 'prove', '--data-dir', bare.dataDir], (_, stdout) => resolve(stdout))
  })
  assert.match(said, /nothing was looked at/)
  assert.match(said, /note not looked at: soft-deleted accounts/)
  assert.doesNotMatch(said, /Everything/)
})
