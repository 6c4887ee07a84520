import assert from 'node:assert/strict'
import { copyFile, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Azure, refusal } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const [left, right] = [await azure.account('left'), await azure.account('right')]

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
}

/** The forms of a text in a file: plain, UTF-16 in both orders, hex, and base64 at each of the three alignments. */
function forms(text: string): Buffer[] {
  const bytes = Buffer.from(text)
  const base64 = [0, 1, 2].flatMap(offset => {
    const whole = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64')
    // The first and last letters have bits of their neighbours.
    const own = whole.slice(4, Math.floor(((bytes.length + offset) * 8) / 6) - 4)
    return [own, own.replaceAll('+', '-').replaceAll('/', '_')]
  })
  const hex = bytes.toString('hex')
  return [
    bytes,
    Buffer.from(text, 'utf16le'),
    Buffer.from(text, 'utf16le').swap16(),
    ...[hex, hex.toUpperCase(), ...base64].map(form => Buffer.from(form)),
  ]
}

async function holding(texts: readonly string[]): Promise<string[]> {
  const found: string[] = []
  for (const path of await filesBelow(cloud.dataDir)) {
    // The running service may have renamed or removed it.
    const content = await readFile(path).catch(() => Buffer.alloc(0))
    if (texts.some(text => forms(text).some(form => content.includes(form)))) found.push(path)
  }
  return found
}

test('R01: no form of the data lies in the folder, whether the service runs, has stopped, was killed or runs again', async t => {
  const canary = 'the otter signs for every parcel after midnight'
  const file = await left.upload(canary, 'merger-with-fabrikam.jsonl')
  const job = await left.jobIs(await left.train(file, { validation_file: file, suffix: 'parcels' }), ['succeeded'])
  const events = (await left.openai.fineTuning.jobs.listEvents(job.id, { limit: 100 })).data
  const losses = events.flatMap(({ data }) => String((data as { train_loss?: number } | null)?.train_loss ?? []))
  const results = (await left.download(job.result_files[0] ?? '')).toString().trim().split('\n').slice(1)
  assert.ok(losses.length > 2 && results.length > 2)
  const precise = losses.filter(loss => loss.length >= 8)
  const texts = [canary, 'merger-with-fabrikam', ...precise, ...results]
  assert.deepEqual(await holding(texts), [], 'running')
  await cloud.stop()
  assert.deepEqual(await holding(texts), [], 'stopped')
  await cloud.restart('kill')
  assert.match((await left.download(file)).toString(), new RegExp(canary))
  assert.deepEqual(await holding(texts), [], 'running again')
  await cloud.restart('kill')
  assert.deepEqual(await holding(texts), [], 'after a kill')
  t.diagnostic(`${texts.length} texts, ${texts.length * forms(canary).length} forms`)
})

test('R01: the search would find each form, if it were there', () => {
  const text = 'the otter signs for every parcel after midnight'
  const padded = ['', 'x', 'xy'].map(before => Buffer.from(Buffer.from(`${before}${text}z`).toString('base64')))
  const hex = Buffer.from(Buffer.from(text).toString('hex'))
  const written = [Buffer.from(`..${text}..`), Buffer.from(text, 'utf16le'), hex, ...padded]
  for (const content of written)
    assert.ok(
      forms(text).some(form => content.includes(form)),
      content.toString(),
    )
})

test('R27: sealed bytes of one account in the place of another account’s are refused, both ways round', async () => {
  const blobs = join(cloud.dataDir, 'blobs')
  const added = async (upload: () => Promise<string>): Promise<{ id: string; path: string }> => {
    const before = new Set(await filesBelow(blobs))
    const id = await upload()
    return { id, path: (await filesBelow(blobs)).find(path => !before.has(path)) ?? '' }
  }
  // Of the same length, so that the length does not show it.
  const ours = await added(() => left.upload('aaaaaaaa'))
  const theirs = await added(() => right.upload('bbbbbbbb'))
  const kept = join(cloud.dataDir, 'kept')
  await copyFile(ours.path, kept)
  await copyFile(theirs.path, ours.path)
  await copyFile(kept, theirs.path)
  for (const [account, { id }] of [
    [left, ours],
    [right, theirs],
  ] as const) {
    for (const attempt of [() => account.download(id), () => account.train(id)]) {
      const refused = await refusal(attempt)
      assert.deepEqual([refused?.status, refused?.code], [500, 'DataCorrupted'])
    }
  }
  await copyFile(ours.path, theirs.path)
  await copyFile(kept, ours.path)
  assert.match((await left.download(ours.id)).toString(), /aaaaaaaa/)
  assert.match((await right.download(theirs.id)).toString(), /bbbbbbbb/)
})
