import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemEnv } from '../base/env.ts'
import { bodyOf } from '../http/respond.ts'
import type { Call } from '../http/route.ts'
import { openRequestAudit } from './request-audit.ts'

test('a response whose record can not be written is not sent, and its body is closed', async () => {
  const sink = {
    append: async () => {
      throw new Error('changed from outside')
    },
  }
  let open = 1
  const chunks = async function* (): AsyncGenerator<Buffer> {
    try {
      yield Buffer.from('never read')
    } finally {
      open -= 1
    }
  }
  const body = await bodyOf(chunks())
  const given = { method: 'GET', host: 'openai', path: '/file', auth: 'none', reason: 'a test', maxBody: 0 } as const
  const [route] = openRequestAudit(sink, systemEnv).routes([{ ...given, handler: async () => new Response(body) }])
  const call = {
    method: 'GET',
    url: new URL('https://a.openai.localhost/file'),
    headers: new Headers(),
    query: new Map(),
  }
  const asked = { ...call, caller: { type: 'anonymous' }, peer: '127.0.0.1', requestId: 'r', label: 'a' }
  await assert.rejects(async () => route?.handler(asked as unknown as Call), /changed from outside/)
  assert.equal(open, 0)
})
