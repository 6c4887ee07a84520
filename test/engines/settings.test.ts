import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { toFile } from 'openai'
import { parse, stringify } from 'yaml'
import { EMBEDDED_BASE } from '../../src/engines/catalogue.ts'
import { startCloudProcess } from '../../src/harness/cloud-process.ts'
import { ownkey } from '../audit/ownkey.fixture.ts'
import { Azure, BASE_MODEL, refusal } from '../support/azure.ts'
import { engineIds, engineOf } from '../support/engine-processes.ts'

const folder = await mkdtemp(join(tmpdir(), 'ownkey-settings-'))
const dataDir = join(folder, 'cloud')
const mine = join(folder, 'mine.gguf')
await copyFile(EMBEDDED_BASE.path, mine)
const add = (...words: string[]) => ownkey('models', 'add', mine, '--data-dir', dataDir, ...words)
await add('--name', 'plain')
await add('--name', 'own', '--context', '200', '--threads', '2', '--gpu-layers', 'max')
const words = ['--engine-context', '128', '--engine-threads', '1', '--engine-memory-mib', '256']
const cloud = await startCloudProcess(dataDir, words)
after(async () => {
  await cloud.stop()
  await rm(folder, { recursive: true, force: true })
})
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('settings')

/** The most threads of a deployment's engine while it answers, and what it says of a question that is too long. */
async function served(model: string): Promise<{ threads: number; context: string }> {
  const before = engineIds(cloud.pid, 'inference')
  assert.equal((await account.deploy(model, model)).status, 201)
  const pid = await engineOf(cloud.pid, 'inference', before)
  let threads = 0
  const looking = setInterval(() => (threads = Math.max(threads, readdirSync(`/proc/${pid}/task`).length)), 1)
  const messages = [{ role: 'user' as const, content: 'Say number 3.' }]
  // Few tokens: two threads on busy cores wait for each other. Several times, since they are there for moments only.
  for (let time = 0; time < 5; time += 1)
    await account.openai.chat.completions.create({ model, messages, max_tokens: 3 })
  clearInterval(looking)
  const refused = await refusal(() => account.chat(model, 'Say number 3. '.repeat(100)))
  return { threads, context: refused?.message ?? '' }
}

test('threads and context are the operator`s, and those of a base win over those of the cloud', async () => {
  const [plain, own] = [await served('plain'), await served('own')]
  assert.match(plain.context, /maximum context length is 128 tokens/)
  assert.match(own.context, /maximum context length is 200 tokens/)
  assert.equal(own.threads - plain.threads, 1, 'two threads instead of one')
})

test('models.yaml keeps what a base asks for, and a start refuses what does not fit', async () => {
  const path = join(dataDir, 'models.yaml')
  const { models } = parse(await readFile(path, 'utf8')) as { models: Record<string, unknown>[] }
  const own = models.find(({ name }) => name === 'own')
  assert.deepEqual([own?.['context'], own?.['threads'], own?.['gpuLayers']], [200, 2, 'max'])
  const listed = await ownkey('models', 'list', '--data-dir', dataDir)
  assert.match(listed.output, /set: context 200, threads 2, gpuLayers max\n/)
  const elsewhere = join(folder, 'elsewhere')
  await ownkey('models', 'add', mine, '--name', 'own', '--data-dir', elsewhere)
  await writeFile(join(elsewhere, 'models.yaml'), stringify({ models: [{ ...own, gpuLayers: 'many' }] }))
  const { code, errors } = await ownkey('start', '--data-dir', elsewhere, '--port', '0')
  assert.equal(code, 1)
  assert.match(errors, /models\.0\.gpuLayers/)
})

test('a job that needs more memory than one engine may fails as outOfMemory, and the service goes on', async () => {
  const content = Array.from({ length: 400 }, (_, n) => `number ${n}`).join(' ')
  const messages = [
    { role: 'user', content: 'Count.' },
    { role: 'assistant', content },
  ]
  const lines = `${JSON.stringify({ messages })}\n`.repeat(12)
  const file = await account.openai.files.create({
    file: await toFile(Buffer.from(lines), 'long.jsonl'),
    purpose: 'fine-tune',
  })
  const hyperparameters = { n_epochs: 1, batch_size: 12 }
  const jobId = await account.train(file.id, { model: BASE_MODEL, hyperparameters })
  const { error } = await account.jobIs(jobId, ['failed'])
  assert.equal(error?.code, 'outOfMemory')
  assert.match(
    error?.message ?? '',
    /needs 0\.\d GB of memory, and there is 0\.3 GB|used more than the 256 MiB of memory that one engine may/,
  )
  await account.deploy('still-there', BASE_MODEL)
  assert.notEqual(await account.chat('still-there'), '')
})

test('a GPU that can`t be used ends the start before anything is made, and says what to install', async () => {
  const nothing = join(folder, 'nothing')
  const refusedGpu = async (gpu: string): Promise<string> => {
    const { code, errors } = await ownkey('start', '--data-dir', nothing, '--port', '0', '--gpu', gpu)
    assert.equal(code, 1)
    assert.ok(!existsSync(nothing))
    return errors.replaceAll(/\s+/g, ' ')
  }
  const other = process.platform === 'darwin' ? 'cuda' : 'metal'
  assert.match(await refusedGpu(other), new RegExp(`--gpu ${other} does not exist for this platform`))
  if (`${process.platform}-${process.arch}` !== 'linux-x64') return
  assert.match(
    await refusedGpu('cuda'),
    /npm pack @node-llama-cpp\/linux-x64-cuda@\d.*linux-x64-cuda-ext@.*NVIDIA's driver/,
  )
  assert.match(await refusedGpu('vulkan'), /npm pack @node-llama-cpp\/linux-x64-vulkan@\d.*libvulkan1/)
  const { code, errors } = await ownkey('start', '--data-dir', nothing, '--gpu-layers', 'most')
  assert.equal(code, 2)
  assert.match(errors, /--gpu-layers most: it must be a whole number, max or auto/)
})

test('auto takes the CPU where there is no GPU', async () => {
  const { code, output } = await ownkey('models', 'check', 'plain', '--gpu', 'auto', '--data-dir', dataDir)
  assert.equal(code, 0)
  assert.match(output, /computed on {2}\S/)
  assert.match(output, /context {6}1,024 tokens\n/)
  const short = await ownkey('models', 'check', 'plain', '--engine-context', '128', '--data-dir', dataDir)
  assert.match(short.output.replaceAll(/\s+/g, ' '), /context 128 tokens, of 1,024 that it can have/)
})
