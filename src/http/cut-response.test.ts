import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, request, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { cutBy, cutOf } from './respond.ts'
import { openBody, writeResponse } from './write-response.ts'

/** An endless response, which the signal cuts. */
async function serve(signal: AbortSignal) {
  const failed = Promise.withResolvers<Error>()
  const body = new ReadableStream<Uint8Array>({ pull: controller => controller.enqueue(Buffer.alloc(64 * 1024, 1)) })
  const server = createServer((incoming, outgoing) => {
    const response = cutBy(new Response(body), signal)
    openBody(response, outgoing)
      .then(opened =>
        writeResponse({ status: 200, headers: {}, body: opened, cut: cutOf(response) }, incoming, outgoing),
      )
      .catch(failed.resolve)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const outgoing = request({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' })
  outgoing.on('error', () => {})
  outgoing.end()
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  response.on('error', () => {})
  const closed = new Promise(resolve => {
    response.on('close', resolve)
  })
  const end = (): void => {
    server.closeAllConnections()
    server.close()
  }
  return { response, closed, failed: failed.promise, end }
}

test('R22: a response is cut also while its client does not read', async t => {
  const cut = new AbortController()
  // The client takes nothing: the service's and the kernel's buffers are full.
  const { response, closed, failed, end } = await serve(cut.signal)
  t.after(end)
  await new Promise(resolve => setTimeout(resolve, 200))
  const started = performance.now()
  cut.abort(new Error('the key is gone'))
  await failed
  assert.ok(performance.now() - started < 500)
  response.resume()
  await closed
  assert.equal(response.complete, false)
})

test('a response whose signal was aborted before it began is cut too', async t => {
  const { response, closed, failed, end } = await serve(AbortSignal.abort(new Error('the key is gone')))
  t.after(end)
  response.resume()
  await failed
  await closed
  assert.equal(response.complete, false)
})
