import assert from 'node:assert/strict'
import { after, beforeEach, test } from 'node:test'
import type { IncomingMessage } from 'node:http'
import { startCloudProcess } from '../../src/harness/cloud-process.ts'
import { Azure, KEY_PERMISSIONS, refusal, untilAllowed, untilRefused } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { outsideVault } from '../support/outside-vault.ts'
import type { Trouble } from '../support/troubles.ts'

/** A foreign vault: the vault of a second cloud, whose answers are changed on the way to ones that were seen elsewhere. */
const other = await outsideVault({ after }, 'kv-others')
await other.permit(KEY_PERMISSIONS)
const cloud = await cloudFor({ after }, ['--outside-vaults', other.pattern])
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('reasons')
const fresh = await azure.account('fresh')
const file = await account.upload('kept under a key from outside')
const { properties: key } = await other.keys.createRsaKey('cmk', { keySize: 2048 })

const enable = (version = key.version) => account.encrypt({ uri: other.uri, name: 'cmk', version })
const details = (body: { error?: { details?: { code: string; message: string }[] } }) => body.error?.details ?? []
const codes = (body: Parameters<typeof details>[0]): string[] => details(body).map(({ code }) => code)
const lease = () => new Promise(resolve => setTimeout(resolve, 1100))
const isOperation = ({ method }: IncomingMessage): boolean => method === 'POST'
const answering =
  (status: number, body: object | string, headers: Record<string, string> = {}): Trouble =>
  (_, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(typeof body === 'string' ? body : JSON.stringify(body))
    return 'handled'
  }
const only =
  (fits: (request: IncomingMessage) => boolean, then: Trouble): Trouble =>
  (request, response) =>
    fits(request) ? then(request, response) : 'pass'
const hasToken = ({ headers }: IncomingMessage): boolean => headers.authorization !== undefined
const unauthorized = (message: string): object => ({ error: { code: 'Unauthorized', message } })
const challenge = (tenant: string, resource = `https://vault.localhost:${new URL(other.uri).port}`) => ({
  'www-authenticate': `Bearer authorization="https://login.localhost/${tenant}", resource="${resource}"`,
})

/** The refusal of a download once the lease that ran has ended. */
async function refusedDownload(): Promise<{ status: number; code: string; message: string }> {
  await lease()
  const refused = await refusal(() => account.download(file))
  assert.ok(refused !== undefined, 'the download went through')
  assert.equal(refused.status, 403)
  assert.doesNotMatch(refused.message, /undefined|client options|Cannot read/)
  return refused
}

beforeEach(async () => {
  other.trouble = () => 'pass'
  const { status, body } = await enable()
  assert.equal(status, 200, JSON.stringify(body))
})

test('R18: with a URI without a version, the version that was read wraps and unwraps', async () => {
  other.trouble = only(
    ({ url = '' }) => /\/keys\/cmk\/{1,2}(un)?wrapkey/i.test(url),
    answering(307, '', { location: '/keys/cmk/wrapkey' }),
  )
  const { status, body } = await enable('')
  assert.equal(status, 200, JSON.stringify(body))
})

test('an unreadable answer is a refusal, not silence', async () => {
  for (const strange of [
    answering(307, '', { location: '/elsewhere' }),
    answering(418, '<html>teapot</html>', { 'content-type': 'text/html' }),
    answering(200, '<html>proxy</html>', { 'content-type': 'text/html' }),
    answering(200, {}),
    answering(404, '<html>no such page</html>', { 'content-type': 'text/html' }),
  ]) {
    other.trouble = only(isOperation, strange)
    assert.match((await refusedDownload()).message, /\(Refused\)/)
    const { status, body } = await enable()
    assert.equal(status, 400)
    assert.ok(!codes(body).includes('R06.Unreachable'), JSON.stringify(body))
    assert.doesNotMatch(JSON.stringify(body), /undefined|Cannot read|JSON at position|Unexpected token/)
  }
})

test('a vault that sends elsewhere is not followed: no question, and no token, goes to where it says', async () => {
  for (const status of [301, 302, 307, 308]) {
    const paths: string[] = []
    other.trouble = (request, response) => {
      paths.push(request.url ?? '')
      return hasToken(request) ? answering(status, '', { location: '/elsewhere' })(request, response) : 'pass'
    }
    assert.match((await refusedDownload()).message, /\(Refused\)/)
    assert.ok(paths.length > 0)
    assert.deepEqual(
      paths.filter(path => path.startsWith('/elsewhere')),
      [],
      String(status),
    )
  }
})

test('a vault that returns something else than was wrapped is KeyReplaced, not a changed database', async () => {
  const other32 = Buffer.alloc(32, 7).toString('base64url')
  for (const value of ['AAAA', other32, Buffer.alloc(64, 7).toString('base64url')]) {
    other.trouble = other.rewriting((reply, { url = '' }) =>
      /unwrapkey/i.test(url) && reply.status === 200
        ? { ...reply, body: JSON.stringify({ kid: key.id, value }) }
        : reply,
    )
    const { message } = await refusedDownload()
    assert.match(message, /\(KeyReplaced\)\. The vault opened something else than what was stored/)
    assert.equal((await account.encryption()).status.cause, 'KeyReplaced')
    const { status, body } = await fresh.encrypt({ uri: other.uri, name: 'cmk' })
    assert.deepEqual([status, codes(body)], [400, ['R12.KeyReplaced']])
  }
})

test('throttling and failures of a vault have reasons of their own', async () => {
  for (const [status, cause, remedy] of [
    [429, 'Throttled', /left alone for as long as it says/],
    [500, 'VaultFailed', /whoever runs it/],
    [503, 'VaultFailed', /whoever runs it/],
  ] as const) {
    other.trouble = answering(status, { error: { code: 'Troubled', message: 'Not now.' } })
    const { message } = await refusedDownload()
    assert.match(message, new RegExp(`\\(${cause}\\)`))
    assert.match(message, remedy)
    assert.equal((await account.encryption()).status.cause, cause)
    const { status: answer, body } = await enable()
    assert.deepEqual([answer, codes(body)], [400, [`R06.${cause}`]])
    assert.match(JSON.stringify(body), /The vault says: Not now\./)
  }
})

test('a vault that breaks off is unreachable, and the network`s error is not shown as the vault`s', async () => {
  other.trouble = request => {
    request.socket.destroy()
    return 'handled'
  }
  const { body } = await enable()
  assert.deepEqual(codes(body), ['R06.Unreachable'])
  assert.doesNotMatch(JSON.stringify(body), /The vault says/)
})

test('a token that the vault refuses is renewed once: an unknown signing key, an expired one', async () => {
  for (const message of [
    'AKV10046: Unable to resolve the key used for signature validation.',
    'AKV10004: Token is expired.',
    'No.',
  ]) {
    const refusedTokens = new Set<string>()
    other.trouble = (request, response) => {
      const { authorization } = request.headers
      if (authorization === undefined) return 'pass'
      // The first that is seen, and that one always.
      if (refusedTokens.size === 0) refusedTokens.add(authorization)
      if (!refusedTokens.has(authorization)) return 'pass'
      return answering(401, unauthorized(message), challenge(other.tenantId))(request, response)
    }
    await lease()
    assert.match((await account.download(file)).toString(), /kept under a key/, message)
    assert.equal(refusedTokens.size, 1)
  }
})

test('a token that is refused for good is TokenRefused, not TenantMismatch', async () => {
  const message = 'AKV10046: Unable to resolve the key used for signature validation.'
  other.trouble = only(hasToken, answering(401, unauthorized(message)))
  assert.match((await refusedDownload()).message, /\(TokenRefused\)/)
  const { body } = await enable()
  assert.deepEqual(codes(body), ['R11.TokenRefused'])
  assert.match(JSON.stringify(body), /AKV10046/)
})

test('R07: it is TenantMismatch where the vault or its challenge says so', async () => {
  for (const [said, headers] of [
    ['AKV10032: Invalid issuer. Expected one of a, found b.', {}],
    ['No.', challenge('11111111-2222-4333-8444-555555555555')],
  ] as const) {
    other.trouble = only(hasToken, answering(401, unauthorized(said), headers))
    assert.match((await refusedDownload()).message, /\(TenantMismatch\)/, said)
    assert.deepEqual(codes((await enable()).body), ['R07.TenantMismatch'], said)
  }
})

test('a challenge for another resource has its own reason, and the operator can name that resource', async t => {
  const elsewhere = other.rewriting((reply, request) =>
    hasToken(request) || reply.status !== 401
      ? reply
      : {
          ...reply,
          headers: {
            ...reply.headers,
            'www-authenticate': String(reply.headers['www-authenticate']).replace(
              /resource="[^"]*"/,
              'resource="https://vault.azure.net"',
            ),
          },
        },
  )
  const stranger = await azure.account('stranger')
  other.trouble = elsewhere
  const { status, body } = await stranger.encrypt({ uri: other.uri, name: 'cmk', version: key.version })
  assert.equal(status, 400)
  assert.deepEqual(codes(body), ['R06.ChallengeMismatch'], JSON.stringify(body))
  assert.match(JSON.stringify(body), /vault\.azure\.net.*--outside-vaults/)
  assert.doesNotMatch(JSON.stringify(body), /client options|The vault says/)

  const port = String(azure.endpoints.port)
  await cloud.stop()
  const named = await startCloudProcess(cloud.dataDir, [
    '--key-lease-seconds',
    '1',
    '--port',
    port,
    '--outside-vaults',
    `${other.pattern}=vault.azure.net`,
  ])
  const again = async (): Promise<void> => {
    await named.stop()
    await cloud.restart()
  }
  t.after(again)
  const accepted = await stranger.encrypt({ uri: other.uri, name: 'cmk', version: key.version })
  assert.equal(accepted.status, 200, JSON.stringify(accepted.body))
})

test('R20: in an outside vault the operator`s credential needs the permission, by policy or role', async () => {
  await other.permit(['get', 'wrapKey'])
  const { message } = await untilRefused(() => account.download(file))
  assert.match(message, /\(AccessDenied\).*operator's credential.*access polic.*role/)
  assert.doesNotMatch(message, /system-assigned identity/)
  await other.permit(KEY_PERMISSIONS)
  await untilAllowed(() => account.download(file))
})

test('R21: where a vault does not say why it refuses, the readable key tells, or the reason is not known', async () => {
  const mute = { error: { code: 'Forbidden', message: 'Forbidden.' } }
  const states = {
    KeyDisabled: { attributes: { enabled: false } },
    KeyExpired: { attributes: { enabled: true, exp: 1_000_000_000 } },
    KeyOperationForbidden: { key_ops: ['sign'] },
    // The key is fine, so a permission is missing.
    AccessDenied: {},
  }
  for (const [reason, { attributes = {}, ...ofKey }] of Object.entries<{ attributes?: object; key_ops?: string[] }>(
    states,
  )) {
    other.trouble = other.rewriting((reply, request) => {
      if (!hasToken(request)) return reply
      if (isOperation(request)) return { ...reply, status: 403, body: JSON.stringify(mute) }
      const bundle = JSON.parse(reply.body) as { key: object; attributes: object }
      const changed = {
        ...bundle,
        key: { ...bundle.key, ...ofKey },
        attributes: { ...bundle.attributes, ...attributes },
      }
      return { ...reply, body: JSON.stringify(changed) }
    })
    assert.match((await refusedDownload()).message, new RegExp(`\\(${reason}\\)`))
  }
  other.trouble = only(hasToken, answering(403, mute))
  assert.match((await refusedDownload()).message, /\(Forbidden\).*does not say why/)
  assert.ok(codes((await enable()).body).includes('R11.Forbidden'))
})
