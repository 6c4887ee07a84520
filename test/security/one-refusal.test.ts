import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { auditRecords } from '../audit/ownkey.fixture.ts'
import { Azure, pause, refusal } from '../support/azure.ts'
import { cloudFor, LEASE_SECONDS } from '../support/cloud.ts'

/** Vaults are asked about unused keys once an hour, so here only requests ask them. */
const cloud = await cloudFor({ after }, ['--key-watch-seconds', '3600'])
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('refused')
const keys = await azure.vault('kv-refused')
const { properties } = await keys.createRsaKey('cmk', { keySize: 2048 })
const version = properties.version ?? ''
await azure.policy('kv-refused', 'add', account.principalId)
await account.encrypt({ vault: 'kv-refused', name: 'cmk', version })
const file = await account.upload()
for (let n = 0; n < 9; n++) await account.upload(`more ${n}`)
const { id: job } = await account.jobIs(
  await account.train(file, { hyperparameters: { n_epochs: 4, batch_size: 4 } }),
  ['succeeded'],
)

/** The key is read, something is wrapped, and each of the two generations is unwrapped; enabling began the second. */
const ONE_ROUND = 4
const isVaultCall = ({ operationName }: { operationName: string }): boolean =>
  ['KeyGet', 'KeyWrap', 'KeyUnwrap'].includes(operationName)

async function callsOf(request: () => Promise<unknown>): Promise<number> {
  await pause(LEASE_SECONDS * 1000 + 100)
  const before = (await auditRecords(cloud.dataDir)).filter(isVaultCall).length
  await request()
  return (await auditRecords(cloud.dataDir)).filter(isVaultCall).length - before
}

const base = `https://refused${cloud.endpoints.openAiSuffix}/openai/v1`
async function get(path: string): Promise<{ data: object[] }> {
  const response = await fetch(`${base}${path}`, { headers: { 'api-key': String(account.openai.apiKey) } })
  assert.equal(response.status, 200)
  return (await response.json()) as { data: object[] }
}

const LISTS: readonly [what: string, path: string, least: number, sealed?: 'sealed'][] = [
  ["a job's events", `/fine_tuning/jobs/${job}/events?limit=100`, 12, 'sealed'],
  ["a job's checkpoints", `/fine_tuning/jobs/${job}/checkpoints`, 3, 'sealed'],
  ['files, whose names are sealed,', '/files', 11, 'sealed'],
  ['jobs', '/fine_tuning/jobs', 1],
  ['models', '/models', 2],
]
for (const way of ['removed', 'disabled'] as const)
  test(`R20, R21: with the key ${way}, a list asks the vault once and not for each entry`, async () => {
    if (way === 'removed') await azure.policy('kv-refused', 'remove', account.principalId)
    else await keys.updateKeyProperties('cmk', version, { enabled: false })
    for (const [what, path, least, sealed] of LISTS) {
      const calls = await callsOf(async () => assert.ok((await get(path)).data.length >= least, what))
      assert.ok(calls <= ONE_ROUND && (calls > 0 || !sealed), `a list of ${what} made ${calls} calls`)
    }
    const one: Record<string, () => Promise<unknown>> = {
      download: () => account.download(file),
      upload: () => account.upload('refused'),
      job: () => account.train(file),
    }
    for (const [what, request] of Object.entries(one)) {
      const calls = await callsOf(async () => assert.equal((await refusal(request))?.status, 403, what))
      assert.ok(calls > 0 && calls <= ONE_ROUND, `a refused ${what} made ${calls} calls`)
    }
    const proven = await callsOf(() => azure.arm('POST', `${azure.accountPath('refused')}/proveProtection`, {}))
    assert.ok(proven <= ONE_ROUND, `a proof made ${proven} calls`)
    if (way === 'removed') await azure.policy('kv-refused', 'add', account.principalId)
    else await keys.updateKeyProperties('cmk', version, { enabled: true })
    await pause(LEASE_SECONDS * 1000)
    assert.equal((await account.download(file)).length > 100, true)
  })
