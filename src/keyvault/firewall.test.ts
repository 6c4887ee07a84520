import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRange, plainAddress } from '../http/address-ranges.ts'
import { firewallDecision, isTrustedService } from './firewall.ts'
import type { NetworkAcls } from './vault-record.ts'
import { principal, vaultWith } from './vault.fixture.ts'

const acls = (rules: string[], rest: Partial<NetworkAcls> = {}): NetworkAcls => ({
  bypass: 'AzureServices',
  defaultAction: 'Deny',
  ipRules: rules.map(value => ({ value })),
  virtualNetworkRules: [],
  ...rest,
})
const decide = (networkAcls: NetworkAcls, peer: string, trusted = false) =>
  firewallDecision(vaultWith({ networkAcls }), peer, trusted)

test('without rules, and with the default action Allow, every address is let in', () => {
  assert.equal(firewallDecision(vaultWith(), '203.0.113.9', false), 'allow')
  assert.equal(decide(acls([], { defaultAction: 'Allow', bypass: 'None' }), '203.0.113.9'), 'allow')
})

test('with Deny only the addresses and ranges listed are let in, IPv4 and IPv6 · R09', () => {
  const rules = acls(['203.0.113.9', '198.51.100.0/24', '2001:db8::/32'])
  for (const peer of ['203.0.113.9', '198.51.100.200', '::ffff:198.51.100.1', '2001:db8:1::5', '2001:db8::1%eth0']) {
    assert.equal(decide(rules, peer), 'allow', peer)
  }
  for (const peer of ['203.0.113.8', '198.51.101.1', '::ffff:203.0.113.8', '2001:db9::1', '::1', '', 'service']) {
    assert.equal(decide(rules, peer), 'address-not-listed', peer)
  }
})

test('a range of one address family, even the widest, lets in no address of the other · R09', () => {
  for (const range of ['::/0', '::/64', '::/96'])
    assert.equal(decide(acls([range]), '203.0.113.9'), 'address-not-listed')
  assert.equal(decide(acls(['0.0.0.0/0']), '2001:db8::1'), 'address-not-listed')
  assert.equal(decide(acls(['::ffff:203.0.113.0/120']), '203.0.113.9'), 'allow')
  assert.equal(decide(acls(['::ffff:203.0.113.0/120']), '203.0.114.9'), 'address-not-listed')
})

test('a trusted service is let in by the bypass alone, from any address · R09 R20', () => {
  assert.equal(decide(acls([]), 'service', true), 'allow')
  assert.equal(decide(acls([], { bypass: 'None' }), 'service', true), 'bypass-is-none')
  assert.equal(decide(acls([]), '127.0.0.1', false), 'address-not-listed')
})

test('with public access disabled no rule helps, only the bypass', () => {
  const closed = vaultWith({
    publicNetworkAccess: 'Disabled',
    networkAcls: acls(['127.0.0.1'], { defaultAction: 'Allow' }),
  })
  assert.equal(firewallDecision(closed, '127.0.0.1', false), 'public-access-disabled')
  assert.equal(firewallDecision(closed, 'service', true), 'allow')
  assert.equal(firewallDecision(vaultWith({ publicNetworkAccess: 'Disabled' }), 'service', true), 'allow')
})

test('ranges are read strictly', () => {
  assert.deepEqual(parseRange('10.0.0.0/8'), { address: '10.0.0.0', prefix: 8, family: 'ipv4' })
  assert.deepEqual(parseRange('::1'), { address: '::1', prefix: 128, family: 'ipv6' })
  for (const text of [
    '',
    '10.0.0',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '10.0.0.0/-1',
    'fe80::1%eth0',
    '::/129',
    '010.0.0.1',
  ]) {
    assert.equal(parseRange(text), undefined, text)
  }
  assert.equal(plainAddress('::FFFF:10.1.2.3'), '10.1.2.3')
})

test("only an account's identity over the service's own connection is trusted · R09", () => {
  const xms_mirid = '/subscriptions/s/resourcegroups/rg/providers/Microsoft.CognitiveServices/accounts/a'
  const account = principal({ claims: { xms_mirid } })
  assert.equal(isTrustedService('service', account), true)
  assert.equal(isTrustedService('network', account), false)
  assert.equal(isTrustedService('service', principal()), false)
  const machine = xms_mirid.replace('CognitiveServices/accounts', 'Compute/virtualMachines')
  assert.equal(isTrustedService('service', principal({ claims: { xms_mirid: machine } })), false)
})
