import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { cloudFor } from '../support/cloud.ts'

const run = promisify(execFile)
const root = new URL('../..', import.meta.url).pathname
const cloud = await cloudFor({ after })
const printed = await run(process.execPath, ['src/cli.ts', 'env', '--data-dir', cloud.dataDir, '--format', 'json'], {
  cwd: root,
})
const env = { ...process.env, ...(JSON.parse(printed.stdout) as Record<string, string>) }

/** As a reader runs it: with the printed environment and the preload, in a process of its own. */
const example = async (name: string): Promise<string> =>
  (await run(process.execPath, ['--import', './src/http/localhost.mjs', `examples/${name}.ts`], { cwd: root, env }))
    .stdout

test('the example that fine-tunes prints a model and an answer', async () => {
  assert.match(await example('fine-tune'), /trained gpt-4o-mini\S+ on \d+ tokens\n\S+/)
})

test('the example that revokes is refused within the lease and recovers', async () => {
  assert.match(await example('revoke-and-recover'), /readable: true\nrefused [01]\.\d s .*\nreadable again [01]\.\d s/)
})

test('the example that rotates opens its file under the new version', async () => {
  assert.match(await example('rotate'), /re-wrapped under [0-9a-f]{32} in \d+ ms.*\n.*still opens: 2925 bytes/)
})
