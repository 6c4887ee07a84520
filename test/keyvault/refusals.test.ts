import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  ADMIN,
  FOREIGNER,
  OTHER_TENANT,
  policy,
  startCloud,
  TENANT,
  USER,
  type Cloud,
  type Reply,
} from './cloud.fixture.ts'

/*
 * Each row of errors that clients of Key Vault know, with its status, code, inner code and message. `ObjectIsBeingDeleted` is not
 * among them: a deletion or a recovery is over here when it is answered.
 */
let cloud: Cloud

before(async () => {
  cloud = await startCloud()
  await cloud.vault('kv-main', { accessPolicies: [policy(ADMIN, 'all'), policy(USER, 'list')] })
  await cloud.call('kv-main', 'POST', '/keys/k/create', { body: { kty: 'RSA' } })
})
after(() => cloud.close())

const CALLER = (oid: string): string => `appid=app-of-${oid};oid=${oid};iss=https://sts.windows.net/${TENANT}/`
const wrap = { alg: 'RSA-OAEP-256', value: Buffer.alloc(32).toString('base64url') }

interface Expected {
  readonly status: number
  readonly code: string
  readonly inner?: string
  readonly message: string | RegExp
}

function refused({ status, body }: Reply, expected: Expected): void {
  assert.equal(status, expected.status)
  assert.equal(body.error.code, expected.code)
  assert.equal(body.error.innererror?.code, expected.inner)
  if (typeof expected.message === 'string') assert.equal(body.error.message, expected.message)
  else assert.match(body.error.message, expected.message)
}

const forbidden = (inner: string, message: string | RegExp): Expected => ({
  status: 403,
  code: 'Forbidden',
  inner,
  message,
})

test('401: no token, a token for another service, a token of another tenant · R07', async () => {
  const unauthorized = (message: string | RegExp): Expected => ({ status: 401, code: 'Unauthorized', message })
  const missing = await cloud.call('kv-main', 'GET', '/keys/k', { token: null })
  refused(missing, unauthorized('AKV10000: Request is missing a Bearer or PoP token.'))
  const token = await cloud.token(ADMIN, 'https://management.azure.com')
  refused(await cloud.call('kv-main', 'GET', '/keys/k', { token }), unauthorized(/^AKV10022: Invalid audience\. /))
  refused(
    await cloud.call('kv-main', 'GET', '/keys/k', { as: FOREIGNER }),
    unauthorized(
      `AKV10032: Invalid issuer. Expected one of https://sts.windows.net/${TENANT}/, found https://sts.windows.net/${OTHER_TENANT}/.`,
    ),
  )
})

test('403: policy, RBAC and firewall each have their own message · R09 R10', async () => {
  refused(
    await cloud.call('kv-main', 'GET', '/keys/k', { as: USER }),
    forbidden(
      'ForbiddenByPolicy',
      `The user, group or application '${CALLER(USER)}' does not have keys get permission on key vault 'kv-main;location=eastus'. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287`,
    ),
  )
  await cloud.vault('kv-rbac', { enableRbacAuthorization: true })
  refused(
    await cloud.call('kv-rbac', 'GET', '/keys/k', { as: USER }),
    forbidden(
      'ForbiddenByRbac',
      [
        'Caller is not authorized to perform action on resource.',
        'If role assignments, deny assignments or role definitions were changed recently, please observe propagation time.',
        `Caller: ${CALLER(USER)}`,
        "Action: 'Microsoft.KeyVault/vaults/keys/read'",
        `Resource: '${cloud.vaultId('kv-rbac').toLowerCase()}/keys/k'`,
        'Assignment: (not found)',
        'DenyAssignmentId: null',
        "DecisionReason: 'DeniedWithNoValidRBAC' ",
        'Vault: kv-rbac;location=eastus',
        '',
      ].join('\r\n'),
    ),
  )
  await cloud.vault('kv-walled', { networkAcls: { defaultAction: 'Deny', bypass: 'AzureServices' } })
  refused(
    await cloud.call('kv-walled', 'GET', '/keys/k'),
    forbidden(
      'ForbiddenByFirewall',
      `Client address is not authorized and caller is not a trusted service.\r\nClient address: 127.0.0.1\r\nCaller: ${CALLER(ADMIN)}\r\nVault: kv-walled;location=eastus`,
    ),
  )
})

test('403: a disabled key, an operation that key_ops lacks, a key out of its time, a purge under protection · R08 R12 R21', async () => {
  const create = (name: string, body: object): Promise<Reply> =>
    cloud.call('kv-main', 'POST', `/keys/${name}/create`, { body: { kty: 'RSA', ...body } })
  const post = (path: string): Promise<Reply> => cloud.call('kv-main', 'POST', path, { body: wrap })
  await create('off', { attributes: { enabled: false } })
  refused(
    await post('/keys/off/wrapkey'),
    forbidden('KeyDisabled', 'Operation wrapKey is not allowed on a disabled key.'),
  )
  refused(
    await cloud.call('kv-main', 'GET', '/keys/off'),
    forbidden('KeyDisabled', 'Operation get is not allowed on a disabled key.'),
  )
  await create('wrap-only', { key_ops: ['wrapKey'] })
  refused(
    await post('/keys/wrap-only/unwrapkey'),
    forbidden('KeyOperationForbidden', 'Operation unwrapKey is not permitted on this key.'),
  )
  await create('old', { attributes: { exp: 1_000_000_000 } })
  refused(
    await post('/keys/old/wrapkey'),
    forbidden('KeyExpired', 'Operation wrapKey is not allowed on an expired key.'),
  )
  await create('young', { attributes: { nbf: 4_000_000_000 } })
  refused(await post('/keys/young/wrapkey'), forbidden('KeyNotYetValid', /not yet valid/))
  await cloud.vault('kv-safe', { enablePurgeProtection: true })
  await cloud.call('kv-safe', 'POST', '/keys/k/create', { body: { kty: 'EC' } })
  await cloud.call('kv-safe', 'DELETE', '/keys/k')
  refused(await cloud.call('kv-safe', 'DELETE', '/deletedkeys/k'), {
    status: 403,
    code: 'Forbidden',
    message:
      'Operation "purge" is not allowed because purge protection is enabled for this vault. Key Vault service will automatically purge it after the retention period has passed.\r\nVault: kv-safe;location=eastus',
  })
})

test('404 and 409: a key that is not there, one that is deleted, a name that a deleted key holds · R21', async () => {
  const missing = (message: string): Expected => ({ status: 404, code: 'KeyNotFound', message })
  const help =
    'was not found in this key vault. If you recently deleted this key you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182'
  refused(await cloud.call('kv-main', 'GET', '/keys/none'), missing(`A key with (name/id) none ${help}`))
  const version = '0'.repeat(32)
  refused(
    await cloud.call('kv-main', 'POST', `/keys/k/${version}/wrapkey`, { body: wrap }),
    missing(`A key with (name/id) k/${version} ${help}`),
  )
  refused(await cloud.call('kv-main', 'GET', '/deletedkeys/k'), missing('Deleted Key not found: k'))
  await cloud.call('kv-main', 'POST', '/keys/gone/create', { body: { kty: 'EC' } })
  await cloud.call('kv-main', 'DELETE', '/keys/gone')
  refused(await cloud.call('kv-main', 'GET', '/keys/gone'), missing(`A key with (name/id) gone ${help}`))
  refused(await cloud.call('kv-main', 'POST', '/keys/gone/create', { body: { kty: 'EC' } }), {
    status: 409,
    code: 'Conflict',
    inner: 'ObjectIsDeletedButRecoverable',
    message:
      'Key gone is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the key can only be recovered or purged.',
  })
})
