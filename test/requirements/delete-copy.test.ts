import assert from 'node:assert/strict'
import { createSecretKey } from 'node:crypto'
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { openSealed } from '../../src/crypto/sealed-blob.ts'
import { encodeContext, unwrap } from '../../src/crypto/wrap.ts'
import { startCloudProcess } from '../../src/harness/cloud-process.ts'
import { KeyRing } from '../../src/encryption/key-ring.ts'
import { openRootKeys } from '../../src/encryption/root-key.ts'
import { systemEnv } from '../../src/base/env.ts'
import { openSqliteRecords } from '../../src/store/sqlite-records.ts'
import { Azure } from '../support/azure.ts'
import { keyedAccount } from '../support/causes.ts'
import { cloudFor } from '../support/cloud.ts'
import { VaultWaits } from '../../src/encryption/vault-waits.ts'

const CANARY = 'the heron counts the boats twice'
const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const { account } = await keyedAccount(azure, 'shredded')
const accountId: string = (await azure.arm('GET', azure.accountPath('shredded'))).body.properties.internalId
const folder = await mkdtemp(join(tmpdir(), 'ownkey-thief-'))
after(() => rm(folder, { recursive: true, force: true }))

async function filesBelow(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  return entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
}

/**
 * A thief with the whole folder, including root key and embedded vault. They start it as a cloud of their own, remove the
 * customer's key, and have every data key of the account in the clear.
 */
async function dataKeys(copy: string) {
  const own = await startCloudProcess(copy, ['--port', String(cloud.endpoints.port)])
  assert.equal((await account.encrypt()).status, 200)
  await own.stop()
  const records = await openSqliteRecords(join(copy, 'records.db'))
  const rootKeys = await openRootKeys({ file: join(copy, 'root.key'), makeWith: systemEnv })
  const vaults = { agentFor: () => undefined, timeoutMs: 1, waits: new VaultWaits() }
  const credentialOf = () => ({ getToken: async () => null })
  const ring = new KeyRing({ records, rootKeys, leaseMs: 0, vaults, credentialOf, settingsOf: async () => undefined })
  const { byGeneration } = await ring.leases.keys(accountId)
  // A copy, since the key ring overwrites its own.
  const kept = new Map([...byGeneration].map(([generation, { bytes }]) => [generation, Buffer.from(bytes)]))
  await records.close()
  return kept
}

/** Tries every wrapped key anywhere in the folder, in freed pages and logs too, on sealed bytes that the thief kept. */
async function plaintextFrom(copy: string, sealed: Buffer, blobId: string): Promise<string | undefined> {
  // Before the thief's own cloud writes to it.
  const texts = await Promise.all((await filesBelow(copy)).map(async path => (await readFile(path)).toString('latin1')))
  const found = new Set(texts.flatMap(text => [...text.matchAll(/[A-Za-z0-9+/]{82}==/g)].map(([match]) => match)))
  assert.ok(found.size > 0, 'the search finds wrapped keys of what was not deleted')
  for (const [generation, dataKey] of await dataKeys(copy))
    for (const wrapped of found) {
      const context = { accountId, kind: 'training-data', blobId, generation }
      const associated = encodeContext('blob key', accountId, context.kind, blobId, generation)
      try {
        const key = createSecretKey(unwrap(dataKey, Buffer.from(wrapped, 'base64'), associated))
        const reader = {
          size: sealed.length,
          read: async (start: number, length: number) => sealed.subarray(start, start + length),
        }
        const opened = await openSealed(key, context, reader)
        const chunks: Buffer[] = []
        for await (const chunk of opened.read()) chunks.push(chunk)
        return Buffer.concat(chunks).toString()
      } catch {
        // Another blob's key.
      }
    }
  return undefined
}

test('R26: a copy of the whole folder after the DELETE, with every key of the cloud and the earlier sealed bytes, does not give the plaintext back', async () => {
  const kept = await account.upload('stays')
  const before = new Set(await filesBelow(join(cloud.dataDir, 'blobs')))
  const file = await account.upload(CANARY)
  const path = (await filesBelow(join(cloud.dataDir, 'blobs'))).find(one => !before.has(one)) ?? ''
  const [sealed, blobId] = [await readFile(path), path.split('/').at(-1) ?? '']

  await cloud.stop()
  await cp(cloud.dataDir, join(folder, 'before'), { recursive: true })
  assert.match((await plaintextFrom(join(folder, 'before'), sealed, blobId)) ?? '', new RegExp(CANARY))

  await cloud.restart()
  await account.openai.files.delete(file)
  // While it runs, and as a crash leaves it, since nothing may depend on a clean end.
  await cp(cloud.dataDir, join(folder, 'after'), { recursive: true, filter: source => !source.endsWith('.lock') })
  await cloud.kill()
  await rm(join(folder, 'after', 'endpoints.json'), { force: true })
  assert.equal(await plaintextFrom(join(folder, 'after'), sealed, blobId), undefined)

  await cloud.restart('kill')
  assert.match((await account.download(kept)).toString(), /stays/)
})
