import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { after, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { Azure } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'

const run = promisify(execFile)
const root = new URL('../..', import.meta.url).pathname
const packages = 'openai azure-identity azure-keyvault-keys azure-mgmt-cognitiveservices'
const found = spawnSync('python3', [
  '-c',
  'import openai, azure.identity, azure.keyvault.keys, azure.mgmt.cognitiveservices',
])
const skip = found.status === 0 ? false : `the Python packages are missing: pip install ${packages}`

describe('the official Python SDKs', { skip }, async () => {
  if (skip !== false) return
  const cloud = await cloudFor({ after })

  test('R03, R15, R18, R21: upload, enable, rotate, revoke and recover, by environment alone', async t => {
    const azure = await Azure.in(cloud.endpoints)
    const account = await azure.account('python')
    const keys = await azure.vault('kv-python')
    await keys.createRsaKey('at-rest', { keySize: 2048 })
    await azure.policy('kv-python', 'add', account.principalId)
    const printed = await run(
      process.execPath,
      ['src/cli.ts', 'env', '--data-dir', cloud.dataDir, '--format', 'json'],
      {
        cwd: root,
      },
    )
    const env = {
      ...process.env,
      ...(JSON.parse(printed.stdout) as Record<string, string>),
      PYTHONPATH: 'src/http/python',
    }
    const script = ['examples/python/story.py', 'python', 'kv-python', azure.group]
    const { stdout } = await run('python3', script, { cwd: root, env, timeout: 60_000 })
    for (const line of stdout.trim().split('\n')) t.diagnostic(line)
    assert.match(stdout, /uploaded[^]*rotated\nrevoked: refused after [01]\.\d s\nrecovered/)
  })
})
