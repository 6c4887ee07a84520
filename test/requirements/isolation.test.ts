import assert from 'node:assert/strict'
import { copyFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import OpenAI from 'openai'
import { Azure, refusal } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const [ours, theirs] = [await azure.account('ours'), await azure.account('theirs')]
const file = await theirs.upload('not for others')
const job = await theirs.jobIs(await theirs.train(file), ['succeeded'])
const model = job.fine_tuned_model ?? ''
assert.equal((await theirs.deploy('private', model)).status, 201)

const endpointOf = (name: string): string => `https://${name}${azure.endpoints.openAiSuffix}/openai/v1/`

test("R27: no account lists, reads, uses or deletes another's files, jobs, events, models or deployments by their ids", async () => {
  assert.deepEqual((await ours.openai.files.list()).data, [])
  assert.deepEqual((await ours.openai.fineTuning.jobs.list()).data, [])
  const models = (await ours.openai.models.list()).data.map(({ id }) => id)
  assert.equal(models.includes(model), false)
  const own = await ours.upload('our own')
  const attempts: Record<string, () => Promise<unknown>> = {
    'read a file': () => ours.openai.files.retrieve(file),
    'download a file': () => ours.download(file),
    'delete a file': () => ours.openai.files.delete(file),
    'train on a file': () => ours.train(file),
    'validate with a file': () => ours.train(own, { validation_file: file }),
    'read a job': () => ours.openai.fineTuning.jobs.retrieve(job.id),
    'read events': () => ours.openai.fineTuning.jobs.listEvents(job.id),
    'read checkpoints': () => ours.openai.fineTuning.jobs.checkpoints.list(job.id),
    'cancel a job': () => ours.openai.fineTuning.jobs.cancel(job.id),
    'read results': () => ours.download(job.result_files[0] ?? ''),
    'read a model': () => ours.openai.models.retrieve(model),
    'delete a model': () => ours.openai.models.delete(model),
    'deploy a model': () => ours.deploy('stolen', model),
    'train a model further': () => ours.train(own, { model }),
    'chat with a deployment': () => ours.chat('private'),
  }
  for (const [what, attempt] of Object.entries(attempts)) {
    const refused = await refusal(attempt)
    assert.ok(refused !== undefined && [400, 404].includes(refused.status), `${what}: ${JSON.stringify(refused)}`)
    assert.doesNotMatch(refused.message, /theirs|not for others/)
  }
  assert.match((await theirs.download(file)).toString(), /not for others/)
  assert.notEqual(await theirs.chat('private'), '')
})

test("R27: an account's API key opens that account alone, in any host, path or header", async () => {
  const key = String(ours.openai.apiKey)
  const crossed = new OpenAI({ baseURL: endpointOf('theirs'), apiKey: key })
  assert.equal((await refusal(() => crossed.files.list()))?.status, 401)
  assert.equal((await refusal(() => crossed.files.content(file)))?.status, 401)
  for (const headers of [{ 'api-key': key }, { authorization: `Bearer ${key}` }]) {
    const response = await fetch(`${endpointOf('theirs')}files/${file}`, { headers })
    assert.equal(response.status, 401)
  }
  const forged = await fetch(`${endpointOf('ours')}files/${file}`, {
    headers: { 'api-key': key, 'x-forwarded-host': new URL(endpointOf('theirs')).host },
  })
  assert.equal(forged.status, 404)
  const climbed = await fetch(`${endpointOf('ours')}files/..%2f..%2f${file}`, { headers: { 'api-key': key } })
  assert.ok([400, 404].includes(climbed.status))
})

test('R27: sealed bytes that someone moves from one blob to another on the disk are refused, not served', async () => {
  const [mine, other] = [await ours.upload('left'), await ours.upload('right')]
  const blobs = await blobPaths()
  const before = new Set(blobs)
  const fresh = await ours.upload('victim')
  const target = (await blobPaths()).find(path => !before.has(path)) ?? ''
  await copyFile(blobs.find(path => path !== target) ?? '', target)
  const refused = await refusal(() => ours.download(fresh))
  assert.equal(refused?.status, 500)
  assert.equal(refused.code, 'DataCorrupted')
  for (const [id, text] of [
    [mine, /left/],
    [other, /right/],
  ] as const)
    assert.match((await ours.download(id)).toString(), text)
})

async function blobPaths(): Promise<string[]> {
  const entries = await readdir(join(cloud.dataDir, 'blobs'), { recursive: true, withFileTypes: true })
  return entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
}
