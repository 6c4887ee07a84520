import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Azure, BASE_MODEL, pause, refusal } from '../support/azure.ts'
import { keyedAccount } from '../support/causes.ts'
import { cloudFor } from '../support/cloud.ts'
import { engineProcesses } from '../support/engine-processes.ts'
import { outsideVault } from '../support/outside-vault.ts'
import { answer } from '../support/troubles.ts'

const outside = await outsideVault({ after })
const cloud = await cloudFor({ after }, ['--outside-vaults', outside.pattern])
const azure = await Azure.in(cloud.endpoints)
const { account } = await keyedAccount(azure, 'asked', outside)

const DELETIONS = {
  'its deployment': () => account.undeploy('stops'),
  'its account': () => azure.arm('DELETE', azure.accountPath('asked')),
} as const

for (const [what, remove] of Object.entries(DELETIONS))
  test(`R28: no process is left of a chat that waits for a slow vault while ${what} is deleted`, async () => {
    outside.trouble = () => 'pass'
    const { status } = await account.deploy('stops', BASE_MODEL, 'stop')
    assert.ok(status < 300, String(status))
    outside.trouble = answer(503)
    for (let looks = 0; engineProcesses(cloud.pid, 'inference') > 0 && looks < 200; looks += 1) await pause(50)
    outside.trouble = outside.late(400)
    const chat = refusal(() => account.chat('stops'))
    await pause(150)
    const removed = await remove()
    assert.ok(removed.status < 300, JSON.stringify(removed.body))
    const { status: answered } = (await chat) ?? {}
    assert.ok(answered === 403 || answered === 404, String(answered))
    await pause(1500)
    assert.equal(engineProcesses(cloud.pid, 'inference'), 0)
    outside.asked()
    await pause(3000)
    // The watch over keys still asks for an account that exists.
    assert.ok(outside.asked() < 20)
  })

test('R28: chats that wait when their deployment is deleted get 404, not a request to repeat', async () => {
  const other = await azure.account('waiting')
  other.openai.maxRetries = 0
  for (const way of [undefined, 'stop'] as const) {
    const { status } = await other.deploy('chat', BASE_MODEL, way)
    assert.ok(status < 300, String(status))
    await other.chat('chat')
    const chats = Array.from({ length: 24 }, () => refusal(() => other.chat('chat', 'Tell me a long story.')))
    await pause(30)
    assert.ok((await other.undeploy('chat')).status < 300)
    const answers = (await Promise.all(chats)).filter(one => one !== undefined)
    assert.ok(answers.length > 0, 'all were answered before')
    assert.deepEqual([...new Set(answers.map(one => `${one.status} ${one.code}`))], ['404 DeploymentNotFound'])
  }
})
