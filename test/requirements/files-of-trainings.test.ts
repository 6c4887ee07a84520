import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Azure } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after })
const account = await (await Azure.in(cloud.endpoints)).account('reports')
const { jobs } = account.openai.fineTuning

const example = (n: number, system?: string): object => ({
  messages: [
    ...(system === undefined ? [] : [{ role: 'system', content: system }]),
    { role: 'user', content: `Say ${n}.` },
    { role: 'assistant', content: `Number ${n}.` },
  ],
})
const POLICY = 'Follow this policy. '.repeat(600)
const long = (n: number): object => ({
  messages: [
    { role: 'user', content: `Say ${n}.` },
    { role: 'assistant', content: `${n} and so on. `.repeat(600) },
  ],
})

async function fileOf(examples: readonly object[]): Promise<string> {
  const text = examples.map(one => JSON.stringify(one)).join('\n')
  const file = new File([text], 'examples.jsonl')
  return (await account.openai.files.create({ file, purpose: 'fine-tune' })).id
}

async function eventsOf(jobId: string): Promise<{ level: string; message: string }[]> {
  return (await jobs.listEvents(jobId, { limit: 100 })).data
    .toReversed()
    .map(({ level, message }) => ({ level, message }))
}
const ten = Array.from({ length: 10 }, (_, n) => example(n))

test('S1: what is cut or left out of the files is said in warnings, with lines', async () => {
  const train = await fileOf([...ten, long(10), example(11, POLICY), example(12, POLICY)])
  const valid = await fileOf([...ten, example(10, POLICY)])
  const more = { validation_file: valid, hyperparameters: { n_epochs: 1, batch_size: 4 } }
  const job = await account.train(train, more)
  await account.jobIs(job, ['succeeded'])
  const events = await eventsOf(job)
  assert.deepEqual(
    events.filter(({ level }) => level === 'warning').map(({ message }) => message),
    [
      '1 of 13 examples of the training file are longer than 1,024 tokens, the most that is read of one, and were cut there: line 11.',
      '2 of 13 examples of the training file have nothing to learn within 1,024 tokens and are left out: lines 12, 13.',
      '1 of 11 examples of the validation file have nothing to learn within 1,024 tokens and are left out: line 11.',
    ],
  )
  assert.ok(events.some(({ message }) => /^Training on 11 examples with [\d,]+ tokens, 3 steps\.$/.test(message)))
})

test('S1: a job with too few examples that can be learned fails as invalid_n_examples, and names the lines', async () => {
  const file = await fileOf([...ten.slice(0, 6), ...[6, 7, 8, 9, 10, 11].map(n => example(n, POLICY))])
  const id = await account.train(file)
  const { error } = await account.jobIs(id, ['failed'])
  assert.equal(error?.code, 'invalid_n_examples')
  assert.match(
    error?.message ?? '',
    /^Training file has 6 example\(s\) with something to learn within the 1,024 tokens that this base reads, but must have at least 10\. Shorten those of lines 7, 8, 9, 10, 11, 12\.$/,
  )
  assert.ok(!JSON.stringify(await eventsOf(id)).includes('policy'))
})
