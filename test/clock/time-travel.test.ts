import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect } from 'node:tls'
import { Azure } from '../support/azure.ts'
import { keyedAccount } from '../support/causes.ts'
import { cloudFor } from '../support/cloud.ts'
import { Random } from '../support/random.ts'

const DAY = 86_400
/** Seconds: within a token's life, beyond it, beyond a signing key's, beyond every retention period. */
const STEPS = [600, 2 * 3600, 26 * 3600, 31 * DAY, 91 * DAY, 366 * DAY]
const SEED = Number(process.env['OWNKEY_SEED'] ?? 91)

test('a key stays usable over time travel in any number of steps: tokens, signing keys, certificates, lease · R13 R18', async t => {
  const cloud = await cloudFor(t, ['--clock-control'])
  const azure = await Azure.in(cloud.endpoints)
  const { account, keys, key } = await keyedAccount(azure, 'traveller')
  const file = await account.upload('opened at all times')
  const random = new Random(SEED)
  let passed = 0
  const holds = async (where: string): Promise<void> => {
    await new Promise(resolve => setTimeout(resolve, 1100))
    assert.match((await account.download(file)).toString(), /opened at all times/, where)
    const { status } = await account.encryption()
    assert.equal(status.state, 'Active', `${where}: ${JSON.stringify(status)}`)
    // A client that its user keeps all the time, and so has an old token.
    await keys.getKey(key)
    const { valid_to: until } = await certificate(cloud.endpoints.port)
    assert.ok(Date.parse(until) > Date.now())
  }
  const move = async (body: object | undefined): Promise<void> => {
    const { status, body: answer } = await azure.armRoot(body === undefined ? 'DELETE' : 'PUT', '/ownkey/clock', body)
    assert.equal(status, 200, JSON.stringify(answer))
  }
  await holds('before')
  // The signing key of the first token is gone at the second step, since nobody asked the vault in between.
  for (const steps of [
    [91 * DAY, 91 * DAY],
    [91 * DAY, 91 * DAY, 91 * DAY],
  ]) {
    for (const seconds of steps) await move({ advanceSeconds: seconds })
    await holds(`after ${steps.length} steps of 91 days`)
  }
  await move(undefined)
  await holds('back in the present')
  for (let round = 0; round < 12; round++) {
    const steps = Array.from({ length: 1 + random.below(3) }, () => random.pick(STEPS))
    const back = random.below(4) === 0
    if (back) await move(undefined)
    for (const advanceSeconds of steps) {
      // The clock ends in 2200.
      passed = back ? advanceSeconds : passed + advanceSeconds
      await move({ advanceSeconds })
    }
    await holds(`seed ${SEED}, round ${round}: ${back ? 'back, then ' : ''}${steps.join(' + ')} s`)
  }
})

function certificate(port: number): Promise<{ valid_to: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', servername: 'management.localhost' }, () => {
      resolve(socket.getPeerCertificate())
      socket.end()
    })
    socket.once('error', reject)
  })
}
