import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemEnv } from '../base/env.ts'
import { DeviceCodes } from './device-codes.ts'

const device = { clientId: 'c', tenant: 't', scope: '', peer: '127.0.0.1' }

test('a device code ends after a quarter of an hour, and so does the code that people type', () => {
  let shift = 0
  const codes = new DeviceCodes({ ...systemEnv, now: () => Date.now() + shift })
  const { deviceCode, userCode } = codes.begin(device)
  assert.equal(codes.find(` ${userCode.slice(0, 4).toLowerCase()}-${userCode.slice(4)}`)?.clientId, 'c')
  shift = 900_001
  assert.equal(codes.find(userCode), undefined)
  assert.equal(codes.answer(userCode, { objectId: 'o', authTime: 0 }), false)
  assert.throws(() => codes.redeem(deviceCode, 'c'), /expired/)
})

test('beyond the limit a new device takes the place of the oldest that nobody has answered', () => {
  const codes = new DeviceCodes(systemEnv)
  const [approved, forgotten] = [codes.begin(device), codes.begin(device)]
  codes.answer(approved.userCode, { objectId: 'o', authTime: 0 })
  const seen = new Set<string>()
  for (let n = 0; n < 998; n++) seen.add(codes.begin(device).userCode)
  assert.equal(seen.size, 998)
  assert.equal(codes.find(forgotten.userCode)?.clientId, 'c')
  assert.equal(codes.find(codes.begin(device).userCode)?.clientId, 'c')
  assert.equal(codes.find(forgotten.userCode), undefined)
  assert.throws(() => codes.redeem(forgotten.deviceCode, 'c'), /expired|code/)
  assert.equal(codes.redeem(approved.deviceCode, 'c').objectId, 'o')
})
