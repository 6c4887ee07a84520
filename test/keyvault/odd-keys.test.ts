import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Azure, refusal, untilAllowed } from '../support/azure.ts'
import { keyedAccount } from '../support/causes.ts'
import { cloudFor } from '../support/cloud.ts'
import { outsideVault } from '../support/outside-vault.ts'

const outside = await outsideVault({ after })
const cloud = await cloudFor({ after }, ['--outside-vaults', outside.pattern, '--key-lease-seconds', '0'])
const azure = await Azure.in(cloud.endpoints)
const { account, version } = await keyedAccount(azure, 'odd', outside)
const other = await azure.account('other')
const file = await account.upload('kept under a key from outside')

interface Answer {
  attributes: Record<string, unknown>
  key: Record<string, unknown>
}

/** How the vault's answer about its key is changed. */
const saying = (change: (answer: Answer) => void) =>
  outside.rewriting(reply => {
    const body = reply.body === '' ? undefined : JSON.parse(reply.body)
    if (reply.status !== 200 || body.key === undefined) return reply
    change(body)
    return { ...reply, body: JSON.stringify(body) }
  })

const place = { uri: outside.uri, name: 'cmk', version }

test('null in a vault`s key counts as absent', async () => {
  outside.trouble = saying(({ attributes }) => Object.assign(attributes, { exp: null, nbf: null }))
  assert.match((await account.download(file)).toString(), /kept under a key from outside/)
  const { status, body } = await other.encrypt(place)
  assert.equal(status, 200, JSON.stringify(body))
  await other.encrypt()
})

test('a vault`s key with wrong fields is refused', async () => {
  const odd: Record<string, (answer: Answer) => void> = {}
  for (const value of [1e20, 'abc', {}, [], true]) {
    for (const name of ['exp', 'nbf', 'recoveryLevel'])
      odd[`${name} ${JSON.stringify(value)}`] = ({ attributes }) => (attributes[name] = value)
    for (const name of ['kid', 'kty', 'n', 'key_ops'])
      odd[`${name} ${JSON.stringify(value)}`] = ({ key }) => (key[name] = value)
  }
  for (const [name, change] of Object.entries(odd)) {
    outside.trouble = saying(change)
    const read = await refusal(() => account.download(file))
    assert.ok(read === undefined || read.status === 403, `${name}: ${read?.status} ${read?.message}`)
    const { status } = await other.encrypt(place)
    assert.ok(status === 200 || status === 400, `${name}: ${status}`)
    outside.trouble = () => 'pass'
    if (status === 200) await other.encrypt()
  }
  await untilAllowed(() => account.download(file))
})
