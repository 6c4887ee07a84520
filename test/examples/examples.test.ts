import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { cloudFor } from '../support/cloud.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const cloud = await cloudFor({ after })

/** As a reader runs it: ./ownkey run. */
const example = async (name: string): Promise<string> =>
  (
    await run(process.execPath, ['src/cli.ts', 'run', '--data-dir', cloud.dataDir, `examples/${name}.ts`], {
      cwd: root,
    })
  ).stdout

test('the example that fine-tunes prints a model and the whole answer that it was taught', async () => {
  assert.match(
    await example('fine-tune'),
    /trained gpt-4o-mini\S+ on \d+ tokens\nParis\. It has been for a while, in case the news travels slowly where you are\.\n$/,
  )
})

test('the example that revokes is refused within the lease and recovers', async () => {
  assert.match(await example('revoke-and-recover'), /readable: true\nrefused [01]\.\d s .*\nreadable again [01]\.\d s/)
})

test('the example that rotates opens its file under the new version', async () => {
  assert.match(await example('rotate'), /re-wrapped under [0-9a-f]{32} in \d+ ms.*\n.*still opens: 2925 bytes/)
})

test('without a cloud an example says how it is run, and throws nothing at its reader', async () => {
  const refused = await run(process.execPath, ['src/cli.ts', 'run', 'examples/rotate.ts'], {
    cwd: root,
    env: { PATH: process.env['PATH'] },
  }).catch((error: unknown) => error as { code: number; stderr: string })
  assert.equal('code' in refused && refused.code, 1)
  assert.equal(
    refused.stderr,
    'AZURE_TENANT_ID is not set: no cloud is named. Run this as\n./ownkey run --data-dir ./cloud FILE\n',
  )
})
