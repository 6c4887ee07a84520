import assert from 'node:assert/strict'
import { createSecretKey, randomBytes } from 'node:crypto'
import { beforeEach, describe, it } from 'node:test'
import { systemEnv } from '../base/env.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import type { RecordStore } from '../store/records.ts'
import { refreshFamilies } from './records.ts'
import { RefreshTokens } from './refresh-tokens.ts'

const day = 86_400_000
const wanted = { objectId: 'o', tenantId: 't', clientId: 'c', authTime: 0 }
const spa = { origin: 'https://portal.localhost', session: 's' }

describe('refresh tokens', () => {
  let shift = 0
  let records: RecordStore
  let tokens: RefreshTokens
  const sealingKey = createSecretKey(randomBytes(32))
  const env = { ...systemEnv, now: () => 1_800_000_000_000 + shift }
  beforeEach(() => {
    shift = 0
    records = openMemoryRecords()
    tokens = new RefreshTokens({ records, env, sealingKey })
  })

  it('rotate at each use, and using one that was replaced a while ago ends the family', async () => {
    const { token } = await tokens.begin(wanted)
    const { next } = await tokens.use(token)
    assert.notEqual(next, token)
    shift += 59_000
    assert.equal((await tokens.use(token)).next, next, 'a second request at nearly the same time gets the same')
    shift += 2_000
    await assert.rejects(tokens.use(token), /700082/)
    await assert.rejects(tokens.use(next), /700082/)
  })

  it('end 90 days after their last use, those of a page a day after the sign-in', async () => {
    let { token } = await tokens.begin(wanted)
    for (let use = 0; use < 3; use++) {
      shift += 89 * day
      token = (await tokens.use(token)).next
    }
    shift += 90 * day
    await assert.rejects(tokens.use(token), /700082/)
    const page = await tokens.begin({ ...wanted, spa })
    shift += 0.6 * day
    const { next } = await tokens.use(page.token)
    shift += 0.5 * day
    await assert.rejects(tokens.use(next), /700082/)
  })

  it('are nowhere in the records, and can not be made without the key', async () => {
    const { token } = await tokens.begin(wanted)
    const stored = JSON.stringify(await records.list(refreshFamilies, { limit: 1000 }))
    assert.ok(!stored.includes(token.slice(40)))
    const other = new RefreshTokens({ records, env, sealingKey: createSecretKey(randomBytes(32)) })
    await assert.rejects(other.use(token), /700082/)
    const flipped = `${token.slice(0, 30)}${token[30] === 'A' ? 'B' : 'A'}${token.slice(31)}`
    for (const forged of [flipped, '', '1.', `${token}x`, token.toUpperCase()])
      await assert.rejects(tokens.use(forged), /700082/)
    await tokens.use(token)
  })

  it('are removed once they have expired', async () => {
    await tokens.begin({ ...wanted, spa })
    shift += 2 * day
    await tokens.begin(wanted)
    assert.equal(await records.count(refreshFamilies), 1)
  })
})
