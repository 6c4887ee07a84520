import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemEnv } from '../base/env.ts'
import { openSoftwareModule } from './software-module.ts'
import { withToken } from './token-module.ts'

const software = openSoftwareModule(systemEnv)
const handle = Buffer.from(JSON.stringify({ pkcs11: '00'.repeat(16), n: 'AQAB', e: 'AQAB' }))

test('a key of a token says what is missing when OwnKey runs without one', async () => {
  const module = withToken(software, undefined)
  assert.equal(module.outside?.('RSA-HSM', handle), '00'.repeat(16))
  const { n, e } = (await software.generate({ kty: 'RSA', size: 2048, publicExponent: 65_537 })).publicPart
  const usable = await module.open('RSA-HSM', Buffer.from(JSON.stringify({ pkcs11: '00', n, e })))
  const request = { alg: 'RSA-OAEP-256', value: Buffer.alloc(256) }
  await assert.rejects(usable.perform('unwrapKey', request), { status: 503, message: /--pkcs11-module/u })
  assert.equal((await usable.perform('wrapKey', { ...request, value: Buffer.alloc(32) })).value.length, 256)
})

test('RSA-HSM keys made in software go on working', async () => {
  const made = await software.generate({ kty: 'RSA-HSM', size: 2048, publicExponent: 65_537 })
  const module = withToken(software, undefined)
  assert.equal(module.outside?.('RSA-HSM', made.material), undefined)
  // A symmetric key may begin with any byte.
  assert.equal(module.outside?.('oct-HSM', Buffer.alloc(16, 0x7b)), undefined)
  const usable = await module.open('RSA-HSM', made.material)
  const { value } = await usable.perform('wrapKey', { alg: 'RSA-OAEP-256', value: Buffer.alloc(32, 3) })
  assert.deepEqual((await usable.perform('unwrapKey', { alg: 'RSA-OAEP-256', value })).value, Buffer.alloc(32, 3))
})
