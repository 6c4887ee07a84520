/** Rotates the customer's key and retires the old version. `./ownkey run --data-dir DIR examples/rotate.ts` */
import { createReadStream } from 'node:fs'
import { createAccount, createVault, keysOf, useKey } from './azure.ts'

const { openai, principalId } = await createAccount('example-rotated')
const first = await createVault('kv-example-rotated', 'at-rest', principalId)
await useKey('example-rotated', 'kv-example-rotated', 'at-rest', first)
const data = new URL('data/marv.jsonl', import.meta.url)
const file = await openai.files.create({ file: createReadStream(data), purpose: 'fine-tune' })

const keys = keysOf('kv-example-rotated')
const second = (await keys.rotateKey('at-rest')).properties.version ?? ''
const start = performance.now()
await useKey('example-rotated', 'kv-example-rotated', 'at-rest', second)
console.log(`re-wrapped under ${second} in ${(performance.now() - start).toFixed(0)} ms; no data was touched`)

await keys.updateKeyProperties('at-rest', first, { enabled: false })
const bytes = await (await openai.files.content(file.id)).arrayBuffer()
console.log(`the old version is disabled, and the file still opens: ${bytes.byteLength} bytes`)
