import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Azure, refusal } from '../support/azure.ts'
import { keyedAccount } from '../support/causes.ts'
import { TwoServices } from '../support/two-services.ts'

const two = await TwoServices.open({ after })
const azure = await Azure.in(two.endpoints)

test('a client whose requests alternate between two services sees one cloud: accounts, keys, files, jobs, models, chats', async () => {
  const { account } = await keyedAccount(azure, 'both')
  const file = await account.upload('kept by both')
  for (const which of [0, 1] as const)
    assert.match((await two.at(which, () => account.download(file))).toString(), /kept by both/)
  const { fine_tuned_model: model } = await account.jobIs(await account.train(file), ['succeeded'])
  assert.equal((await account.deploy('served', model ?? '')).status, 201)
  for (const which of [0, 1] as const) assert.notEqual(await two.at(which, () => account.chat('served')), '')
  assert.ok((await account.undeploy('served')).status < 300)
  for (const which of [0, 1] as const)
    assert.equal((await two.at(which, () => refusal(() => account.chat('served'))))?.code, 'DeploymentNotFound')
})
