/** Uploads training data, fine-tunes, deploys and chats. `./ownkey run --data-dir DIR examples/fine-tune.ts` */
import { createReadStream } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { accounts, createAccount, group } from './azure.ts'

const { openai } = await createAccount('example-tuning')
const data = new URL('data/marv.jsonl', import.meta.url)
const file = await openai.files.create({ file: createReadStream(data), purpose: 'fine-tune' })
const job = await openai.fineTuning.jobs.create({ model: 'gpt-4o-mini-2024-07-18', training_file: file.id, seed: 42 })

let now = job
while (!['succeeded', 'failed', 'cancelled'].includes(now.status)) {
  await wait(500)
  now = await openai.fineTuning.jobs.retrieve(job.id)
}
if (now.fine_tuned_model === null) throw new Error(`The job ${now.status}: ${now.error?.message ?? ''}`)
console.log(`trained ${now.fine_tuned_model} on ${now.trained_tokens} tokens`)

await accounts.deployments.beginCreateOrUpdateAndWait(group, 'example-tuning', 'marv', {
  sku: { name: 'Standard', capacity: 1 },
  properties: { model: { format: 'OpenAI', name: now.fine_tuned_model, version: '1' } },
})
const stream = await openai.chat.completions.create({
  model: 'marv',
  messages: [
    { role: 'system', content: 'Marv is a factual chatbot that is also sarcastic.' },
    { role: 'user', content: "What's the capital of France?" },
  ],
  max_tokens: 40,
  temperature: 0,
  stream: true,
})
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? '')
process.stdout.write('\n')
