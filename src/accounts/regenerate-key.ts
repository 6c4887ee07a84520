import { noteOperation } from '../audit/request-context.ts'
import { changedMeanwhile } from '../store/conflicts.ts'
import { put, type Stored } from '../store/records.ts'
import { accounts, type Account } from './account.ts'
import { accountAudit, type AccountServices } from './accounts.ts'
import { newApiKeys, sealApiKeys, type ApiKeys } from './api-keys.ts'

/** Makes a new value for one of the two keys. The old one is no longer valid. */
export async function regenerateKey(
  services: AccountServices,
  stored: Stored<Account>,
  keyName: 'Key1' | 'Key2',
): Promise<ApiKeys> {
  noteOperation({ endsAccess: true })
  const { env, identityKey, audit } = services
  const fresh = newApiKeys(env)
  const before = services.accounts.keysOf(stored.value)
  const keys = keyName === 'Key1' ? { ...before, key1: fresh.key1 } : { ...before, key2: fresh.key2 }
  const value: Account = { ...stored.value, sealedKeys: sealApiKeys(identityKey, stored.id, keys) }
  const entry = accountAudit(value, 'Microsoft.CognitiveServices/accounts/regenerateKey/action', keyName)
  await audit.append(entry, [put(accounts, stored.id, value, stored.version)]).catch(changedMeanwhile('The account'))
  return keys
}
