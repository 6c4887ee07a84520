import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Forbidden } from '../http/errors.ts'
import type { Call, Caller } from '../http/route.ts'
import { administratorOnly } from './administrator.ts'

const principal = (objectId: string): Caller => ({
  type: 'principal',
  tenantId: 't',
  objectId,
  appId: 'a',
  claims: { roles: ['Owner'] },
})

test('a route for the administrator alone takes neither another principal, whatever its roles, nor an API key', async () => {
  const as = (caller: Caller): Promise<Caller> => administratorOnly(async () => caller, ['administrator'])({} as Call)
  assert.equal((await as(principal('administrator'))).type, 'principal')
  const others: Caller[] = [principal('another'), { type: 'key', account: 'administrator' }, { type: 'anonymous' }]
  for (const caller of others) await assert.rejects(as(caller), Forbidden)
})
