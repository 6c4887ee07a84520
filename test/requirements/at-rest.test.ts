import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import OpenAI, { AzureOpenAI, toFile } from 'openai'
import { searchFolder } from '../../src/harness/search-folder.ts'
import { Azure, BASE_MODEL } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('at-rest')
const apiKey = String(account.openai.apiKey)
const endpoint = `https://at-rest${azure.endpoints.openAiSuffix}`

/** Texts that can't be in the folder by chance. */
const CANARIES = {
  example: 'the heron keeps seventeen umbrellas',
  validation: 'violet gravel whistles on Thursdays',
  filename: 'quarterly-layoffs-plan',
  suffix: 'kestrel',
  chat: 'my blood type is a secret to everyone',
}
const searched = [CANARIES.example, CANARIES.validation, CANARIES.filename, CANARIES.chat]

async function assertNothingInTheClear(when: string): Promise<void> {
  const { found, files, bytes } = await searchFolder(cloud.dataDir, searched)
  assert.deepEqual(found, [], `${when}: in the clear in one of ${files} files, ${bytes} bytes`)
  const wide = searched.map(text => Buffer.from(text, 'utf16le').toString('latin1'))
  assert.deepEqual((await searchFolder(cloud.dataDir, wide)).found, [], `${when}: in the clear as UTF-16`)
}

test('R04: a new account is encrypted under service-managed keys with nothing to configure', async () => {
  const encryption = await account.encryption()
  assert.equal(encryption.keySource, 'Microsoft.CognitiveServices')
  assert.equal(encryption.keyVaultProperties ?? undefined, undefined)
})

test('R01, R04: training data, validation data, file names, results, checkpoints, models and chats never lie in the folder in the clear', async () => {
  const training = await account.upload(CANARIES.example, `${CANARIES.filename}.jsonl`)
  const validation = await account.upload(CANARIES.validation, 'valid.jsonl')
  await assertNothingInTheClear('after the uploads')
  const job = await account.train(training, { validation_file: validation, suffix: CANARIES.suffix })
  const seen: unknown[] = []
  const watch = setInterval(
    () => void assertNothingInTheClear('while training').catch((error: unknown) => seen.push(error)),
    50,
  )
  const { fine_tuned_model: model, result_files: results } = await account.jobIs(job, ['succeeded'])
  clearInterval(watch)
  assert.deepEqual(seen, [])
  await account.deploy('canary', model ?? '')
  await account.chat('canary', CANARIES.chat)
  await assertNothingInTheClear('while serving')
  const csv = (await account.download(results[0] ?? '')).toString()
  const losses = csv.split('\n').slice(1, 4).join('\n')
  assert.match(losses, /\d\.\d{4,}/)
  assert.deepEqual((await searchFolder(cloud.dataDir, losses.split('\n'))).found, [], 'results in the clear')
  await cloud.restart()
  await assertNothingInTheClear('after a restart')
  assert.match((await account.download(training)).toString(), new RegExp(CANARIES.example))
  const listed = await account.openai.files.retrieve(training)
  assert.equal(listed.filename, `${CANARIES.filename}.jsonl`)
})

/** The forms in which unmodified SDKs are pointed at a resource. */
const clients: Record<string, () => OpenAI> = {
  'AzureOpenAI with an API key': () => new AzureOpenAI({ endpoint, apiKey, apiVersion: '2024-10-21' }),
  'AzureOpenAI with a Microsoft Entra token': () =>
    new AzureOpenAI({
      endpoint,
      apiVersion: '2024-10-21',
      azureADTokenProvider: async () =>
        (await azure.credential.getToken('https://cognitiveservices.azure.com/.default'))?.token ?? '',
    }),
  'OpenAI with the v1 base URL': () => new OpenAI({ baseURL: `${endpoint}/openai/v1/`, apiKey }),
}

for (const [name, client] of Object.entries(clients)) {
  test(`R03: ${name} uploads, lists, reads, fine-tunes, chats and deletes, and sees no key, nonce or ciphertext`, async () => {
    const openai = client()
    const content = Array.from({ length: 10 }, (_, n) =>
      JSON.stringify({
        messages: [
          { role: 'user', content: `Say ${n}` },
          { role: 'assistant', content: `${n}!` },
        ],
      }),
    ).join('\n')
    const file = await openai.files.create({
      file: await toFile(Buffer.from(content), 'a.jsonl'),
      purpose: 'fine-tune',
    })
    assert.equal(file.object, 'file')
    assert.equal(file.bytes, content.length)
    assert.equal(await (await openai.files.content(file.id)).text(), content)
    assert.deepEqual(
      (await openai.files.list()).data.filter(({ id }) => id === file.id).map(({ filename }) => filename),
      ['a.jsonl'],
    )
    const job = await openai.fineTuning.jobs.create({
      model: BASE_MODEL,
      training_file: file.id,
      method: { type: 'supervised', supervised: { hyperparameters: { n_epochs: 1, batch_size: 10 } } },
    })
    assert.equal(job.object, 'fine_tuning.job')
    const done = await account.jobIs(job.id, ['succeeded'])
    const wire = JSON.stringify([file, done, await openai.fineTuning.jobs.listEvents(job.id)])
    assert.doesNotMatch(wire, /wrapped|nonce|ciphertext|dataKey|blobId|generation/i)
    await account.deploy('base', BASE_MODEL)
    const answer = await openai.chat.completions.create({
      model: 'base',
      messages: [{ role: 'user', content: 'Hello' }],
    })
    assert.equal(answer.object, 'chat.completion')
    assert.equal((await openai.files.delete(file.id)).deleted, true)
  })
}
