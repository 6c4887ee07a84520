import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { administratorObjectId } from '../../src/harness/scene.ts'
import { Azure, BASE_MODEL } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { noPython, python } from '../support/python.ts'

/** The official Python SDKs, configured by environment alone: one program for each client in test/clients/python, and a whole story in examples. */
describe('the official Python SDKs', { skip: noPython, concurrency: false }, async () => {
  if (noPython !== false) return
  const cloud = await cloudFor({ after })
  const azure = await Azure.in(cloud.endpoints)

  test('R03, R15, R18, R21: upload, enable, rotate, revoke and recover, by environment alone', async t => {
    const account = await azure.account('python')
    const keys = await azure.vault('kv-python')
    await keys.createRsaKey('at-rest', { keySize: 2048 })
    await azure.policy('kv-python', 'add', account.principalId)
    const output = await python(cloud, ['examples/python/story.py', 'python', 'kv-python', azure.group])
    for (const line of output.trim().split('\n')) t.diagnostic(line)
    assert.match(output, /uploaded[^]*rotated\nrevoked: refused after [01]\.\d s\nrecovered/)
  })

  test('azure-keyvault-keys: every kind of key from creation to purge and restore · R06 R21', async () => {
    await azure.vault('kv-py-keys', { sku: { family: 'A', name: 'premium' }, enablePurgeProtection: undefined })
    await azure.policy('kv-py-keys', 'replace', await administratorObjectId(cloud.endpoints), ['all'])
    const output = await python(cloud, ['test/clients/python/keyvault_keys.py', 'kv-py-keys'])
    assert.match(
      output,
      /^created\nimported\nrotated\nused\ndisabled and enabled\ndeleted, recovered, purged, restored\n$/,
    )
  })

  test('azure-mgmt-cognitiveservices: an account from creation to purge, under a customer`s key in between · R04 R15 R29', async () => {
    const keys = await azure.vault('kv-py-life')
    await keys.createRsaKey('at-rest', { keySize: 2048 })
    const { location } = cloud.endpoints
    const group = 'py-accounts'
    await azure.arm('PUT', `/resourceGroups/${group}`, { location }, '2025-04-01')
    const script = ['test/clients/python/cognitiveservices.py', group, location, azure.vaultUri('kv-py-life')]
    const output = await python(cloud, script, {
      onLine: async line => {
        const [, principalId] = /^refused (\S+)$/.exec(line) ?? []
        if (principalId === undefined) return undefined
        await azure.policy('kv-py-life', 'add', principalId)
        return 'granted\n'
      },
    })
    assert.match(output, /created\n[^]*under the customer's key and back\ndeleted, restored, purged\n$/)
  })

  test('openai: with a key and with a token, classic and v1; a disabled key refuses each form · R03 R19 R22', async () => {
    const account = await azure.account('py-openai')
    const keys = await azure.vault('kv-py-openai')
    await keys.createRsaKey('at-rest', { keySize: 2048 })
    await azure.policy('kv-py-openai', 'add', account.principalId)
    await account.encrypt({ vault: 'kv-py-openai', name: 'at-rest' })
    await account.deploy('base', BASE_MODEL)
    const args = ['py-openai', String(account.openai.apiKey), 'base', 'kv-py-openai', 'at-rest']
    const output = await python(cloud, ['test/clients/python/openai_forms.py', ...args])
    assert.equal(output, 'stored\nrevoked for each form\nrecovered\n')
  })
})
