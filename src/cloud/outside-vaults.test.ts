import assert from 'node:assert/strict'
import { test } from 'node:test'
import { outsideVaults } from './outside-vaults.ts'

const allows = (patterns: string[], uri: string): boolean => outsideVaults(patterns, () => {}).allows(uri)

test('only hosts that fit a pattern are allowed: one label for the star, the given port, https alone', () => {
  const patterns = ['*.vault.azure.net', 'kv.example.org:8443']
  const yes = ['https://contoso.vault.azure.net', 'https://CONTOSO.vault.azure.net:443/', 'https://kv.example.org:8443']
  const no = [
    'http://contoso.vault.azure.net',
    'https://contoso.vault.azure.net:8443',
    'https://vault.azure.net',
    'https://a.b.vault.azure.net',
    'https://contoso.vault.azure.net.example.org',
    'https://contosovault.azure.net',
    'https://contoso.vault.azure.net.',
    'https://contoso.vault.azure.net@example.org',
    'https://kv.example.org',
    'https://127.0.0.1:8443',
    'nonsense',
  ]
  for (const uri of yes) assert.equal(allows(patterns, uri), true, uri)
  for (const uri of no) assert.equal(allows(patterns, uri), false, uri)
  assert.equal(allows([], yes[0] ?? ''), false)
})

test('a pattern that is invalid, or far too wide, ends the start', () => {
  for (const pattern of ['*', '*.net', '*.*.net', 'https://a.vault.azure.net', 'a b', 'a.net:0', 'a.net:70000', '.net'])
    assert.throws(() => outsideVaults([pattern], () => {}), /is not a host of vaults/, pattern)
})
