/** Takes the key away, shows that the data is closed, and gives it back. `./ownkey run --data-dir DIR examples/revoke-and-recover.ts` */
import { createReadStream } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { APIError } from 'openai'
import { createAccount, createVault, group, tenantId, useKey, vaults } from './azure.ts'

const { openai, principalId } = await createAccount('example-revoked')
const version = await createVault('kv-example-revoked', 'at-rest', principalId)
await useKey('example-revoked', 'kv-example-revoked', 'at-rest', version)
const data = new URL('data/marv.jsonl', import.meta.url)
const file = await openai.files.create({ file: createReadStream(data), purpose: 'fine-tune' })

const policy = {
  properties: {
    accessPolicies: [{ tenantId, objectId: principalId, permissions: { keys: ['get', 'wrapKey', 'unwrapKey'] } }],
  },
}
const readable = async (): Promise<boolean> => {
  try {
    await (await openai.files.content(file.id)).arrayBuffer()
    return true
  } catch (error) {
    if (!(error instanceof APIError) || error.code !== 'CustomerManagedKeyUnavailable') throw error
    return false
  }
}
const secondsUntil = async (wanted: boolean): Promise<string> => {
  const start = performance.now()
  while ((await readable()) !== wanted) await wait(100)
  return ((performance.now() - start) / 1000).toFixed(1)
}

console.log(`readable: ${await readable()}`)
await vaults.vaults.updateAccessPolicy(group, 'kv-example-revoked', 'remove', policy)
console.log(`refused ${await secondsUntil(false)} s after the policy was removed`)
await vaults.vaults.updateAccessPolicy(group, 'kv-example-revoked', 'add', policy)
console.log(`readable again ${await secondsUntil(true)} s after it was added`)
