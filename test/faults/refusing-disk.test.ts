import assert from 'node:assert/strict'
import { basename } from 'node:path'
import { after, suite, test } from 'node:test'
import { ownkey } from '../audit/ownkey.fixture.ts'
import { Azure, BASE_MODEL, pause, refusal, untilAllowed } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { failBy, failures, forgetRules, noCompiler } from './failing-disk.ts'

const CASES = [
  { error: 'EROFS', status: 503, code: 'StorageUnavailable', says: /currently takes no writes/ },
  { error: 'ENOSPC', status: 507, code: 'InsufficientStorage', says: /is full/ },
] as const

suite('a disk that refuses every write', { skip: noCompiler }, async () => {
  after(forgetRules)
  if (noCompiler !== false) return
  const cloud = await cloudFor({ after })
  const azure = await Azure.in(cloud.endpoints)
  const account = await azure.account('refused')
  account.openai.maxRetries = 0
  const keys = await azure.vault('kv-refused')
  const { properties } = await keys.createRsaKey('cmk', { keySize: 2048 })
  await azure.policy('kv-refused', 'add', account.principalId)
  assert.equal((await account.encrypt({ vault: 'kv-refused', name: 'cmk', version: properties.version })).status, 200)
  const kept = await account.upload('kept')
  assert.equal((await account.deploy('base', BASE_MODEL)).status, 201)

  for (const { error, status, code, says } of CASES)
    test(`${error}: reading, chats and lists go on, the rest gets ${status}, and all of it works again by itself`, async () => {
      const part = basename(cloud.dataDir)
      await failBy({ calls: 'write,truncate,rename,unlink,mkdir,open', part, error })
      // Longer than a lease.
      await pause(1200)
      assert.notEqual(await account.chat('base'), '')
      assert.match((await account.download(kept)).toString(), /kept/)
      const { length } = (await account.openai.files.list()).data
      const upload = await refusal(() => account.upload('refused'))
      assert.deepEqual([upload?.status, upload?.code], [status, code], upload?.message)
      assert.match(upload?.message ?? '', says)
      const patch = await azure.arm('PATCH', azure.accountPath(account.name), { tags: { error } })
      assert.equal(patch.status, status, JSON.stringify(patch.body))
      assert.equal(patch.headers.get('retry-after'), '10')
      assert.ok((await failures()) > 0)
      await failBy()
      await untilAllowed(() => account.upload('taken again'), 10)
      assert.equal((await account.openai.files.list()).data.length, length + 1)
      const { output, code: proof } = await ownkey('prove', '--data-dir', cloud.dataDir)
      assert.equal(proof, 0, output)
    })
})
