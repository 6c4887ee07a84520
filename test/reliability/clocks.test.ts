import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { connect } from 'node:tls'
import { Azure, pause } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { postJob, untilStep } from '../support/job-steps.ts'

const DAY = 86_400_000
const folder = await mkdtemp(join(tmpdir(), 'ownkey-clocks-'))
after(() => rm(folder, { recursive: true, force: true }))
const clock = join(folder, 'offset')
process.env['OWNKEY_TEST_CLOCK'] = clock
process.env['NODE_OPTIONS'] = `--import=${new URL('../support/moved-clock.mjs', import.meta.url).href}`

/** How far the service's wall clock is off, in milliseconds. */
async function setClock(offset: number): Promise<void> {
  await writeFile(`${clock}.new`, String(offset))
  await rename(`${clock}.new`, clock)
}

test('ids and lists keep their order when the clock is set back', async () => {
  await setClock(0)
  const cloud = await cloudFor({ after })
  const account = await (await Azure.in(cloud.endpoints)).account('clocks')
  const first = await account.upload('first', 'first.jsonl', 100)
  const jobId = await account.train(first, { hyperparameters: { n_epochs: 1, batch_size: 1 } })
  await untilStep(account, jobId, 10)
  await postJob(account, jobId, 'pause')
  await setClock(-2 * 3_600_000)
  await cloud.restart()
  const second = await account.upload('second')
  await postJob(account, jobId, 'resume')
  const job = await account.jobIs(jobId, ['succeeded'])
  assert.ok((job.finished_at ?? 0) >= job.created_at, `${job.finished_at} is before ${job.created_at}`)
  const { data: files } = await account.openai.files.list({ purpose: 'fine-tune' })
  assert.deepEqual(
    files.map(({ id }) => id),
    [second, first],
  )
  const later = await account.train(second, { hyperparameters: { n_epochs: 1, batch_size: 4 } })
  await account.jobIs(later, ['succeeded'])
  const { data: jobs } = await account.openai.fineTuning.jobs.list()
  assert.deepEqual(
    jobs.map(({ id }) => id),
    [later, jobId],
  )
  const words: string[] = []
  for await (const event of account.openai.fineTuning.jobs.listEvents(jobId, { limit: 100 })) {
    const step = (event.data as { step?: number } | null)?.step
    words.push(step === undefined ? event.message.replace(/[:.].*$/u, '') : `step ${step}`)
  }
  const told = words.toReversed()
  const steps = told.filter(word => word.startsWith('step ')).map(word => Number(word.slice(5)))
  assert.deepEqual(
    steps,
    steps.toSorted((a, b) => a - b),
  )
  assert.deepEqual(told.slice(-2), ['New fine-tuned model created', 'Job succeeded'])
  assert.ok(told.indexOf('Job paused') < told.indexOf('Job resumed'))
})

test('a certificate that ends, or begins in the future, because the clock was set is renewed while the service runs', async t => {
  await setClock(0)
  const cloud = await cloudFor({ after })
  const served = async (): Promise<{ from: number; to: number; number: string }> => {
    const { port } = cloud.endpoints
    const socket = connect({ port, host: '127.0.0.1', servername: 'management.localhost', rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    const { valid_from, valid_to, serialNumber } = socket.getPeerCertificate()
    socket.destroy()
    return { from: Date.parse(valid_from), to: Date.parse(valid_to), number: serialNumber }
  }
  let { number } = await served()
  for (const offset of [500 * DAY, 0, -500 * DAY]) {
    await setClock(offset)
    const began = performance.now()
    for (let tries = 0; (await served()).number === number; tries += 1) {
      assert.ok(tries < 200, 'it is not renewed')
      await pause(100)
    }
    t.diagnostic(`renewed ${((performance.now() - began) / 1000).toFixed(1)} s after the clock was set`)
    const present = await served()
    assert.ok(present.from <= Date.now() + offset && present.to > Date.now() + offset)
    number = present.number
  }
  // Official clients with the right clock, which trust this cloud's first CA, accept the renewed one.
  await setClock(0)
  for (let tries = 0; (await served()).number === number; tries += 1) {
    assert.ok(tries < 200, 'it is not renewed')
    await pause(100)
  }
  assert.equal(
    (await fetch(`${cloud.endpoints.resourceManager}/metadata/endpoints?api-version=2022-09-01`)).status,
    200,
  )
})

test('a cloud that was made while the clock was years ahead answers clients after a restart with the right clock', async () => {
  await setClock(1000 * DAY)
  const cloud = await cloudFor({ after })
  await setClock(0)
  await cloud.restart()
  assert.equal(
    (await fetch(`${cloud.endpoints.resourceManager}/metadata/endpoints?api-version=2022-09-01`)).status,
    200,
  )
})
