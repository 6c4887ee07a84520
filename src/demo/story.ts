import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { APIError } from 'openai'
import { ArmError } from '../harness/azure-client.ts'
import { administratorObjectId } from '../harness/scene.ts'
import type { DemoScene } from './demo-scene.ts'
import { blobDigests, changed, searchFolder, wrappedKeys } from '../harness/search-folder.ts'
import { heading, ProgressBar, quote, say } from './terminal.ts'

const DATA = new URL('../../examples/data/', import.meta.url)
export const BASE_MODEL = 'gpt-4o-mini-2024-07-18'
const QUESTIONS = [
  "What's the capital of France?",
  'How far is the Moon from Earth?',
  'What is the boiling point of water?',
]

export interface Uploaded {
  readonly gsm8k: string
  readonly marv: string
}

export async function buildCloud(scene: DemoScene): Promise<string> {
  heading(2, 'A group, an account with its own identity, a vault, a key, an access policy')
  await scene.createGroup()
  await scene.createAccount()
  say(`account ${scene.account}, identity ${scene.principalId}`)
  await scene.createVault(await administratorObjectId(scene.endpoints))
  const key = await scene.keys.createRsaKey(scene.key, { keySize: 2048 })
  say(`key ${scene.key} in ${scene.vault}, version ${key.properties.version ?? ''}`)
  await scene.grant()
  say('policy: get, wrapKey, unwrapKey for the identity')
  return key.properties.version ?? ''
}

export async function upload(scene: DemoScene): Promise<Uploaded> {
  heading(3, 'Upload real training data; look for it on the disk')
  const send = async (name: string): Promise<string> => {
    const file = await scene.openai.files.create({ file: createReadStream(new URL(name, DATA)), purpose: 'fine-tune' })
    say(`${name}: ${file.bytes.toLocaleString('en')} bytes, ${file.id}`)
    return file.id
  }
  const uploaded = { gsm8k: await send('gsm8k-chat.jsonl'), marv: await send('marv.jsonl') }
  const back = await (await scene.openai.files.content(uploaded.gsm8k)).arrayBuffer()
  scene.prove(
    'A download gives back what was uploaded',
    Buffer.from(back).equals(await readFile(new URL('gsm8k-chat.jsonl', DATA))),
    `${back.byteLength.toLocaleString('en')} bytes, byte for byte`,
  )
  await searchForPlaintext(scene, 'Nothing of the training data lies on the disk in the clear')
  return uploaded
}

/** R01: looks for sentences from every part of the data in every file of the folder. */
async function searchForPlaintext(scene: DemoScene, claim: string): Promise<void> {
  const sentences: string[] = []
  for (const name of ['gsm8k-chat.jsonl', 'marv.jsonl']) {
    const lines = (await readFile(new URL(name, DATA), 'utf8')).trim().split('\n')
    const step = Math.max(1, Math.floor(lines.length / 40))
    for (let index = 0; index < lines.length; index += step) {
      const { messages } = JSON.parse(lines[index] ?? '') as { messages: { content: string }[] }
      sentences.push(...messages.slice(1).map(({ content }) => content.slice(0, 60)))
    }
  }
  const { files, bytes, found } = await searchFolder(scene.dataDir, sentences)
  scene.prove(
    claim,
    found.length === 0 && bytes > 1_000_000,
    `${sentences.length} sentences, ${files} files, ${(bytes / 1e6).toFixed(1)} MB searched, ${found.length} hits`,
  )
}

export async function train(scene: DemoScene, keyVersion: string, marv: string): Promise<string> {
  heading(4, 'Enable the customer-managed key; fine-tune, deploy, chat')
  await scene.setEncryption(keyVersion)
  say('the account is now encrypted under the key in the vault')
  const job = await scene.openai.fineTuning.jobs.create({
    model: BASE_MODEL,
    training_file: marv,
    suffix: 'marv',
    seed: 42,
  })
  const losses = await follow(scene, job.id)
  const done = await scene.openai.fineTuning.jobs.retrieve(job.id)
  const model = done.fine_tuned_model ?? ''
  const [first = Number.NaN, last = Number.NaN] = [losses.at(0), losses.at(-1)]
  scene.prove(
    'Fine-tuning trains: the loss falls below half of its start',
    done.status === 'succeeded' && last < first / 2,
    `${first.toFixed(2)} → ${last.toFixed(2)}, ${done.trained_tokens ?? 0} tokens`,
  )
  if (done.status !== 'succeeded') throw new Error(`The job is ${done.status}: ${done.error?.message ?? ''}`)
  say(`model ${model}`)
  await scene.deploy('base', BASE_MODEL)
  await scene.deploy('marv', model)
  let different = 0
  for (const question of QUESTIONS) {
    const [base, tuned] = [await scene.chat('base', question), await scene.chat('marv', question)]
    if (base !== tuned) different += 1
    say(`${question}\n      base:       ${oneLine(base)}\n      fine-tuned: ${oneLine(tuned)}`)
  }
  scene.prove(
    'The fine-tuned model answers differently from its base',
    different > 0,
    `${different} of ${QUESTIONS.length} answers`,
  )
  await searchForPlaintext(scene, 'Still nothing in the clear after training and serving')
  return model
}

async function follow(scene: DemoScene, jobId: string): Promise<number[]> {
  const bar = new ProgressBar()
  const losses = new Map<number, number>()
  for (;;) {
    const { status } = await scene.openai.fineTuning.jobs.retrieve(jobId)
    const { data } = await scene.openai.fineTuning.jobs.listEvents(jobId, { limit: 100 })
    for (const event of data) {
      const metrics = event.data as { step: number; total_steps: number; train_loss: number } | null
      if (event.type !== 'metrics' || metrics === null) continue
      losses.set(metrics.step, metrics.train_loss)
    }
    const newest = data.find(event => event.type === 'metrics')?.data as
      | { step: number; total_steps: number; train_loss: number }
      | undefined
    if (newest !== undefined)
      bar.show(
        newest.step,
        newest.total_steps,
        `step ${newest.step}/${newest.total_steps}, loss ${newest.train_loss.toFixed(3)}`,
      )
    if (['succeeded', 'failed', 'cancelled', 'paused'].includes(status)) {
      bar.end()
      return [...losses].sort(([a], [b]) => a - b).map(([, loss]) => loss)
    }
    await new Promise(resolve => setTimeout(resolve, 200))
  }
}

export async function rotate(scene: DemoScene): Promise<void> {
  heading(5, 'Rotate the key')
  const before = { blobs: await blobDigests(scene.dataDir), keys: await wrappedKeys(scene.dataDir) }
  const rotated = await scene.keys.rotateKey(scene.key)
  const started = performance.now()
  await scene.setEncryption(rotated.properties.version ?? '')
  const milliseconds = performance.now() - started
  const after = { blobs: await blobDigests(scene.dataDir), keys: await wrappedKeys(scene.dataDir) }
  const rewrapped = changed(before.keys, after.keys)
  const rewritten = changed(before.blobs, after.blobs)
  scene.prove(
    'Rotation re-wraps keys and leaves the data alone',
    rewrapped > 0 && rewritten === 0,
    `${rewrapped} of ${after.keys.size} wrapped keys, ${rewritten} of ${after.blobs.size} blobs, ${milliseconds.toFixed(0)} ms`,
  )
}

/** @param leaseSeconds the stated bound: a revocation takes effect within it */
export async function revoke(scene: DemoScene, uploaded: Uploaded, model: string, leaseSeconds: number): Promise<void> {
  heading(6, 'Revoke: remove the access policy')
  const download = async (): Promise<unknown> => (await scene.openai.files.content(uploaded.marv)).arrayBuffer()
  await download()
  say(`a download has begun a lease of ${leaseSeconds} s: a revocation takes no longer`)
  await scene.revoke()
  const started = performance.now()
  const attempts: [string, () => Promise<unknown>][] = [
    ['Download of training data', download],
    [
      'New fine-tuning job',
      () => scene.openai.fineTuning.jobs.create({ model: BASE_MODEL, training_file: uploaded.marv }),
    ],
    ['New deployment', () => scene.deploy('marv-2', model)],
  ]
  const messages = new Set<string>()
  for (const [name, attempt] of attempts) {
    const refusal = await untilRefused(attempt)
    const seconds = (performance.now() - started) / 1000
    const isRefused = refusal?.status === 403 && refusal.code === 'CustomerManagedKeyUnavailable'
    scene.prove(
      `Revoked: ${name.toLowerCase()} is refused`,
      isRefused && seconds < leaseSeconds + 1,
      `${refusal?.status ?? 'not refused'} after ${seconds.toFixed(1)} s`,
    )
    if (refusal !== undefined) messages.add(refusal.message.replace(/^\d{3} /, ''))
  }
  for (const message of messages) quote(`the error: ${message.replaceAll(/(\/[0-9a-f]{8})[0-9a-f]{24}\b/g, '$1…')}`)
  const answer = await scene.chat('marv', QUESTIONS[0] ?? '')
  scene.prove('Revoked: the running deployment still answers', answer !== '', oneLine(answer, 48))
}

/** Tries until it is refused, for at most three leases. */
async function untilRefused(
  attempt: () => Promise<unknown>,
): Promise<{ status: number; code: string; message: string } | undefined> {
  const deadline = performance.now() + 30_000
  while (performance.now() < deadline) {
    try {
      await attempt()
    } catch (error) {
      if (error instanceof ArmError) return error
      if (error instanceof APIError)
        return { status: error.status ?? 0, code: error.code ?? '', message: error.message }
      throw error
    }
    await new Promise(resolve => setTimeout(resolve, 250))
  }
  return undefined
}

export async function cleanUp(scene: DemoScene, uploaded: Uploaded, model: string): Promise<void> {
  heading(7, 'Grant again, disable the customer-managed key, delete everything')
  await scene.grant()
  const back = await (await scene.openai.files.content(uploaded.marv)).arrayBuffer()
  scene.prove(
    'Granted again: everything opens again',
    Buffer.from(back).equals(await readFile(new URL('marv.jsonl', DATA))),
  )
  await scene.setEncryption(undefined)
  await scene.revoke()
  const still = await (await scene.openai.files.content(uploaded.marv)).arrayBuffer()
  scene.prove(
    'Disabled: the data opens without the vault',
    still.byteLength === back.byteLength,
    'policy removed first',
  )
  await cancelExtraJobs(scene)
  await scene.deleteDeployment('marv-2').catch(() => undefined)
  await scene.deleteDeployment('marv')
  await scene.deleteDeployment('base')
  await scene.openai.models.delete(model)
  for await (const file of await scene.openai.files.list()) await scene.openai.files.delete(file.id)
  const left = await scene.openai.files.list()
  const blobs = await blobDigests(scene.dataDir)
  scene.prove(
    'Deleted: file, model, deployment and their bytes are gone',
    left.data.length === 0 && blobs.size === 0,
    `${blobs.size} blobs on the disk`,
  )
}

/** Jobs that got in before the revocation took effect. */
async function cancelExtraJobs(scene: DemoScene): Promise<void> {
  for await (const job of await scene.openai.fineTuning.jobs.list()) {
    if (!['succeeded', 'failed', 'cancelled'].includes(job.status)) await scene.openai.fineTuning.jobs.cancel(job.id)
  }
}

function oneLine(text: string, most = 62): string {
  const line = text.replaceAll(/\s+/g, ' ')
  return line.length > most ? `${line.slice(0, most - 1)}…` : line
}
