import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemEnv } from '../base/env.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import { DeviceCodes } from './device-codes.ts'

const device = { clientId: 'c', tenant: 't', scope: '', peer: '127.0.0.1' }
const approval = { objectId: 'o', authTime: 0 }

test('a device code ends after a quarter of an hour, and so does the code that people type', async () => {
  let shift = 0
  const env = { ...systemEnv, now: () => Date.now() + shift }
  const codes = new DeviceCodes({ env, records: openMemoryRecords() })
  const { deviceCode, userCode } = await codes.begin(device)
  const typed = ` ${userCode.slice(0, 4).toLowerCase()}-${userCode.slice(4)}`
  assert.equal((await codes.find(typed))?.clientId, 'c')
  shift = 900_001
  assert.equal(await codes.find(userCode), undefined)
  assert.equal(await codes.answer(userCode, approval), false)
  await assert.rejects(codes.redeem(deviceCode, 'c'), /expired/)
})

test('a device is answered once, and its approval is returned once', async () => {
  const codes = new DeviceCodes({ env: systemEnv, records: openMemoryRecords() })
  const { deviceCode, userCode } = await codes.begin(device)
  const answers = await Promise.all([codes.answer(userCode, approval), codes.answer(userCode, 'declined')])
  assert.deepEqual(answers, [true, false])
  const polls = await Promise.allSettled([codes.redeem(deviceCode, 'c'), codes.redeem(deviceCode, 'c')])
  assert.deepEqual(polls.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'])
})

test('beyond the limit a new device takes the place of the oldest ones that nobody has answered', async () => {
  const codes = new DeviceCodes({ env: systemEnv, records: openMemoryRecords() })
  const approved = await codes.begin(device)
  const forgotten = await codes.begin(device)
  await codes.answer(approved.userCode, approval)
  const seen = new Set<string>()
  for (let n = 0; n < 998; n++) seen.add((await codes.begin(device)).userCode)
  assert.equal(seen.size, 998)
  assert.equal((await codes.find(forgotten.userCode))?.clientId, 'c')
  assert.equal((await codes.find((await codes.begin(device)).userCode))?.clientId, 'c')
  assert.equal(await codes.find(forgotten.userCode), undefined)
  await assert.rejects(codes.redeem(forgotten.deviceCode, 'c'), /expired|code/)
  assert.equal((await codes.redeem(approved.deviceCode, 'c')).objectId, 'o')
})
