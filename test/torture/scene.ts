import type { At } from './at.ts'
import { accountBody } from './account-operations.ts'
import { uploadTo } from './data-operations.ts'
import { pathOf } from './engine-operations.ts'
import { KEY, SCRATCH, setPolicy, vaultPath, versionOf } from './key-operations.ts'
import { Known, type MainAccount } from './model.ts'
import { bodyOf, must, type Session } from './session.ts'

const NAMES = ['alpha', 'beta']
const MANAGE = ['create', 'get', 'list', 'update', 'delete', 'recover', 'purge', 'encrypt', 'decrypt']

/** What the whole run needs: a group, two accounts each with a vault of its own, and a vault whose keys can be purged. */
export async function makeScene(at: At): Promise<void> {
  const { session, model } = at
  const { location } = session.endpoints
  await must(() => session.arm('PUT', '/resourceGroups/torture', { location }))
  await makeVault(session, SCRATCH, false)
  for (const name of NAMES) {
    const account = await makeAccount(session, name)
    model.main.push(account)
    // So that there is always something to check, whatever the load does.
    for (let n = 0; n < 2; n += 1) await uploadTo(at, account)
  }
}

async function makeAccount(session: Session, name: string): Promise<MainAccount> {
  const vault = `kv-${name}`
  await makeVault(session, vault, true)
  const made = bodyOf(await must(() => session.arm('PUT', pathOf(name), accountBody(session, name))))
  const keys = bodyOf(await must(() => session.arm('POST', `${pathOf(name)}/listKeys`)))
  const body = { kty: 'RSA', key_size: 2048 }
  const key = await must(() => session.vault('POST', vault, `/keys/${KEY}/create`, body))
  const account: MainAccount = {
    name,
    vault,
    apiKey: keys.key1,
    principalId: made.identity.principalId,
    files: [],
    jobs: [],
    deployments: [],
    versions: [versionOf(key)],
    protectedBy: new Known<string>('service'),
    policy: new Known<'granted' | 'removed'>('granted'),
    tag: new Known<string>(''),
    hadKeyTrouble: false,
    reEncryptions: 0,
  }
  await must(() => setPolicy({ session }, account, 'add'))
  return account
}

async function makeVault(session: Session, name: string, isProtected: boolean): Promise<void> {
  const { tenantId, location } = session.endpoints
  const objectId = await session.administratorId()
  const properties = {
    tenantId,
    sku: { family: 'A', name: 'standard' },
    enableSoftDelete: true,
    enableRbacAuthorization: false,
    ...(isProtected ? { enablePurgeProtection: true } : {}),
    accessPolicies: [{ tenantId, objectId, permissions: { keys: MANAGE } }],
  }
  await must(() => session.arm('PUT', vaultPath(name), { location, properties }))
}
