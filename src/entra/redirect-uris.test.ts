import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkRedirectUris, kindOfRedirect, pageOrigins } from './redirect-uris.ts'

const registered = {
  web: ['https://app.example/cb'],
  spa: ['https://page.example/', 'http://localhost:5173/'],
  publicClient: ['http://localhost', 'myapp://auth'],
}

test('only the port of a loopback address may differ, and only for programs', () => {
  assert.equal(kindOfRedirect(registered, 'https://app.example/cb'), 'web')
  assert.equal(kindOfRedirect(registered, 'http://localhost:5173/'), 'spa')
  assert.equal(kindOfRedirect(registered, 'http://localhost:49152'), 'publicClient')
  assert.equal(kindOfRedirect(registered, 'http://localhost:49152/'), 'publicClient')
  assert.equal(kindOfRedirect(registered, 'myapp://auth'), 'publicClient')
  for (const other of [
    'http://127.0.0.1:1',
    'http://localhost:1/a',
    'https://page.example',
    'myapp://auth/',
    'http://localhost:1#',
    '',
    'x',
  ])
    assert.equal(kindOfRedirect(registered, other), undefined, other)
  assert.deepEqual(pageOrigins(registered), ['https://page.example', 'http://localhost:5173'])
})

test('addresses that could send a code elsewhere are not registered', () => {
  checkRedirectUris('web', ['https://a.example/x', 'http://localhost:1/x', 'http://127.0.0.1/'])
  checkRedirectUris('publicClient', ['msal-x://auth', 'http://localhost'])
  for (const [kind, uri] of [
    ['web', 'http://a.example/'],
    ['web', 'https://*.example/'],
    ['web', 'https://a.example/#x'],
    ['web', 'https://u:p@a.example/'],
    ['web', 'myapp://auth'],
    ['spa', 'javascript:alert(1)'],
    ['publicClient', 'javascript:alert(1)'],
    ['publicClient', 'data:text/html,x'],
    ['publicClient', 'http://a.example/'],
    ['web', 'no uri'],
    ['web', `https://a.example/${'x'.repeat(300)}`],
  ] as const)
    assert.throws(() => checkRedirectUris(kind, [uri]), { code: 'Request_BadRequest' }, uri)
})
