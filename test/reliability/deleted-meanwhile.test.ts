import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Azure, pause } from '../support/azure.ts'
import { keyedAccount } from '../support/causes.ts'
import { cloudFor, LEASE_SECONDS } from '../support/cloud.ts'

const ROUNDS = 8
const cloud = await cloudFor({ after })
const { account } = await keyedAccount(await Azure.in(cloud.endpoints), 'racing')

test('downloads and lists while a file is deleted get the file or a 404', async () => {
  const url = `https://${account.name}${cloud.endpoints.openAiSuffix}/openai/v1/files`
  const headers = { 'api-key': String(account.openai.apiKey) }
  const ask = async (method: string, path: string): Promise<number> => {
    const response = await fetch(`${url}${path}`, { method, headers })
    await response.arrayBuffer().catch(() => undefined)
    return response.status
  }
  const wrong: string[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    const id = await account.upload(`round ${round}`)
    // The lease is over, so a read waits for the vault after it has read the file's record, while the deletion needs no key.
    await pause(LEASE_SECONDS * 1000 + 100)
    const asked = [
      ...Array.from({ length: 4 }, () => ask('GET', `/${id}/content`)),
      ask('DELETE', `/${id}`),
      ...Array.from({ length: 4 }, () => ask('GET', `/${id}/content`)),
    ]
    const listed = Array.from({ length: 4 }, () => ask('GET', ''))
    for (const status of await Promise.all(asked)) if (![200, 404].includes(status)) wrong.push(`content ${status}`)
    for (const status of await Promise.all(listed)) if (status !== 200) wrong.push(`list ${status}`)
  }
  assert.deepEqual(wrong, [])
})
