import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { request } from 'node:https'
import { join } from 'node:path'
import { after, afterEach, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { toFile } from 'openai'
import { blobDigests } from '../../src/harness/search-folder.ts'
import { ask, checkTells, type Answered } from '../support/asking.ts'
import { Azure, BASE_MODEL, pause, refusal } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('uploads')
const key = String(account.openai.apiKey)
const host = `https://uploads${cloud.endpoints.openAiSuffix}`
const url = `${host}/openai/files?api-version=2024-10-21`
const kept = await account.upload('kept')
const blobs = await blobDigests(cloud.dataDir)

/** What was refused must not be there afterwards, neither listed nor as a file of the folder. */
afterEach(async () => {
  assert.deepEqual(
    (await account.openai.files.list()).data.map(({ id }) => id),
    [kept],
  )
  for (let attempt = 0; attempt < 40 && (await blobDigests(cloud.dataDir)).size !== blobs.size; attempt++)
    await pause(50)
  assert.deepEqual(await blobDigests(cloud.dataDir), blobs)
})

const line = JSON.stringify({
  messages: [
    { role: 'user', content: 'a' },
    { role: 'assistant', content: 'b' },
  ],
})
const examples = Array.from({ length: 12 }, () => line).join('\n')
const file = (name = 'file', filename = 'train.jsonl', content = examples): string =>
  `Content-Disposition: form-data; name="${name}"; filename="${filename}"\r\nContent-Type: application/octet-stream\r\n\r\n${content}`
const field = (name: string, value: string): string => `Content-Disposition: form-data; name="${name}"\r\n\r\n${value}`
const purpose = field('purpose', 'fine-tune')
const form = (...parts: string[]): string => `${parts.map(part => `--b\r\n${part}\r\n`).join('')}--b--\r\n`
const MULTIPART = 'multipart/form-data; boundary=b'

async function send(body: string, contentType = MULTIPART, more: object = {}): Promise<Answered> {
  const headers = { 'api-key': key, 'content-type': contentType }
  return ask({ method: 'POST', url, headers, body, ...more })
}

interface Expected {
  readonly status: number
  readonly code: string
  readonly param?: string
  readonly message: RegExp
}

function check({ status, text }: Answered, expected: Expected): void {
  const { error } = JSON.parse(text) as { error: { code: string; param: string | null; message: string; type: string } }
  assert.deepEqual(
    [status, error.code, error.param, error.type],
    [expected.status, expected.code, expected.param ?? null, 'invalid_request_error'],
    text.slice(0, 300),
  )
  assert.match(error.message, expected.message)
  checkTells(text, [key, examples])
}

const payload = (message: RegExp, param?: string): Expected => ({
  status: 400,
  code: 'invalidPayload',
  message,
  ...(param === undefined ? {} : { param }),
})
const tooMany = Array.from({ length: 20 }, (_, n) => field(`f${n}`, 'x'))

const FORMS: readonly [what: string, body: string, expected: Expected, contentType?: string][] = [
  ['without a file', form(purpose), payload(/no part named 'file'/, 'file')],
  ['without a purpose', form(file()), payload(/lacks the part 'purpose'/, 'purpose')],
  [
    'for another purpose',
    form(file(), field('purpose', 'assistants')),
    payload(/'assistants' is not supported/, 'purpose'),
  ],
  [
    'for a purpose that only the service writes',
    form(file(), field('purpose', 'fine-tune-results')),
    payload(/not supported/, 'purpose'),
  ],
  ['with two files', form(file(), file(), purpose), payload(/exactly one file/, 'file')],
  ['with the file in another part', form(file('data'), purpose), payload(/part named 'file'/, 'file')],
  [
    'with the file as a field',
    form(field('file', examples.slice(0, 100)), purpose),
    payload(/no part named 'file'/, 'file'),
  ],
  ['with two purposes', form(file(), purpose, purpose), payload(/'purpose' comes twice/, 'purpose')],
  ['with a purpose of 5 kB', form(file(), field('purpose', 'x'.repeat(5000))), payload(/longer than 4096 bytes/)],
  [
    'with a purpose of 5 kB before the file',
    form(field('purpose', 'x'.repeat(5000)), file()),
    payload(/longer than 4096 bytes/),
  ],
  ['with twenty fields after the file', form(file(), ...tooMany, purpose), payload(/more than 16 parts/)],
  ['with twenty fields before the file', form(...tooMany, file(), purpose), payload(/more than 16 parts/)],
  [
    'that asks for an expiry',
    form(file(), purpose, field('expires_after[anchor]', 'created_at')),
    payload(/leave expires_after out/, 'expires_after[anchor]'),
  ],
  ['that breaks off in the file', form(file(), purpose).slice(0, 300), payload(/malformed/)],
  ['that breaks off after the file', `--b\r\n${file()}\r\n--b\r\nContent-Dispos`, payload(/malformed/)],
  ['that is empty', '', payload(/malformed|no part/)],
  ['that is another body altogether', examples, payload(/malformed|no part/)],
  ['without a boundary', form(file(), purpose), payload(/boundary/), 'multipart/form-data'],
  ['with another boundary', form(file(), purpose), payload(/malformed|no part/), 'multipart/form-data; boundary=other'],
  [
    'as JSON',
    JSON.stringify({ purpose: 'fine-tune', file: examples }),
    { status: 415, code: 'UnsupportedMediaType', message: /multipart\/form-data/ },
    'application/json',
  ],
  [
    'as a web form',
    'purpose=fine-tune',
    { status: 415, code: 'UnsupportedMediaType', message: /multipart\/form-data/ },
    'application/x-www-form-urlencoded',
  ],
]

for (const [what, body, expected, contentType] of FORMS) {
  test(`an upload ${what} is refused, says why, and leaves nothing`, async () => {
    check(await send(body, contentType), expected)
  })
}

test('an upload that is announced larger than 512 MB is refused before a byte of it is read', async () => {
  const began = performance.now()
  const answer = await send('', MULTIPART, { announce: 600 * 1024 * 1024 })
  check(answer, { status: 413, code: 'RequestEntityTooLarge', message: /larger than the \d+ bytes/ })
  assert.ok(performance.now() - began < 5000)
})

test('an upload in a content encoding is refused', async () => {
  const headers = { 'api-key': key, 'content-type': MULTIPART, 'content-encoding': 'gzip' }
  const answer = await ask({ method: 'POST', url, headers, body: form(file(), purpose) })
  check(answer, { status: 415, code: 'UnsupportedMediaType', message: /Content-Encoding/ })
})

test('a client that goes away in the middle of a file leaves nothing', async () => {
  const { hostname, port, pathname, search } = new URL(url)
  await new Promise<void>((resolve, reject) => {
    const headers = { 'api-key': key, 'content-type': MULTIPART, 'content-length': '1000000' }
    const outgoing = request({ method: 'POST', hostname, port, path: `${pathname}${search}`, headers, agent: false })
    outgoing.on('error', () => resolve())
    outgoing.on('response', () => reject(new Error('answered before the end')))
    outgoing.write(`--b\r\n${file('file', 'a.jsonl', `${examples}\n`.repeat(200))}`, () => {
      setTimeout(() => outgoing.destroy(), 300)
    })
  })
})

/** The service's code for the fault in each file's name. */
const FAULTS: Readonly<Record<string, readonly [finding: string, line?: number]>> = {
  'binary.jsonl': ['not_utf8', 1],
  'content-number-line-2.jsonl': ['invalid_content', 2],
  'deep-nesting-line-1.jsonl': ['too_deeply_nested', 1],
  'empty.jsonl': ['invalid_n_examples'],
  'invalid-utf8-line-6.jsonl': ['invalid_utf8', 6],
  'json-array.json': ['not_jsonl', 1],
  'no-assistant-line-5.jsonl': ['no_assistant_message', 5],
  'no-messages-line-3.jsonl': ['missing_messages', 3],
  'not-json-line-7.jsonl': ['invalid_json', 7],
  'unknown-role-line-4.jsonl': ['unknown_role', 4],
  'utf16.jsonl': ['not_utf8', 1],
}
const folder = fileURLToPath(new URL('../data/bad/', import.meta.url))

for (const [name, [finding, at]] of Object.entries(FAULTS)) {
  test(`${name} is refused with ${finding}${at === undefined ? '' : ` in line ${at}`}, without repeating any of it`, async () => {
    const content = await readFile(join(folder, name))
    const attempt = account.openai.files.create({ file: await toFile(content, name), purpose: 'fine-tune' })
    await assert.rejects(attempt, (error: { status: number; code: string; error: { details: object[] } }) => {
      assert.deepEqual([error.status, error.code], [400, 'jsonlValidationFailed'])
      const [first] = error.error.details as { code: string; target?: string; message: string }[]
      assert.equal(first?.code, finding)
      assert.equal(first?.target, at === undefined ? undefined : `line ${at}`)
      assert.ok((first?.message.length ?? 0) > 15)
      for (const word of content.toString('latin1').match(/[A-Za-z]{9,}/g) ?? [])
        if (!/assistant|messages/.test(word)) assert.equal(JSON.stringify(error.error).includes(word), false, word)
      return true
    })
  })
}

test('a file of nine examples may be uploaded, to validate with, but no job trains on it', async () => {
  const nine = await readFile(join(folder, 'nine-examples.jsonl'))
  const { id } = await account.openai.files.create({ file: await toFile(nine, 'nine.jsonl'), purpose: 'fine-tune' })
  const refused = await refusal(() => account.openai.fineTuning.jobs.create({ model: BASE_MODEL, training_file: id }))
  assert.deepEqual([refused?.status, refused?.code], [400, 'invalid_n_examples'])
  assert.match(refused?.message ?? '', /has 9 example\(s\), but must have at least 10/)
  await account.openai.files.delete(id)
})

test('every file of test/data/bad is used here', async () => {
  const held = [...Object.keys(FAULTS), 'nine-examples.jsonl']
  assert.deepEqual((await readdir(folder)).filter(name => /\.jsonl?$/.test(name)).toSorted(), held.toSorted())
})

test('odd file names are kept as they are, and come back in a header that can carry them', async () => {
  const names = [
    'a b.jsonl',
    '../../root.key',
    `${'x'.repeat(254)}😀.jsonl`,
    'naïve 文件.jsonl',
    '"quoted"\u202E.jsonl',
    '%00%0d%0a.jsonl',
    '',
  ]
  for (const name of names) {
    const body = form(file('file', name.replaceAll('"', '%22')), purpose)
    const answer = await send(body)
    assert.equal(answer.status, 201, answer.text)
    const { id, filename } = JSON.parse(answer.text) as { id: string; filename: string }
    assert.ok(filename.length > 0 && filename.length <= 255 && !filename.includes('/') && filename.isWellFormed())
    const content = await ask({
      url: `${host}/openai/files/${id}/content?api-version=2024-10-21`,
      headers: { 'api-key': key },
    })
    assert.deepEqual([content.status, content.text], [200, examples])
    assert.match(String(content.headers['content-disposition']), /^attachment; filename\*=UTF-8''[\w%.!~*'()-]+$/)
    await account.openai.files.delete(id)
  }
})
