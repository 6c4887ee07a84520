import { keyIdentifierFrom } from '../encryption/key-identifier.ts'
import type { NamedKey } from '../encryption/key-state.ts'
import type { RecordStore } from '../store/records.ts'
import { accounts, type EncryptionSettings } from './account.ts'

/** The key that settings name. */
function namedKey({ keyVaultProperties }: EncryptionSettings): NamedKey {
  return keyVaultProperties === undefined ? 'service' : keyIdentifierFrom(keyVaultProperties)
}

/** K2: the key for comparison with the key ring, also of soft-deleted accounts; undefined: there is no such account. */
export async function namedKeyOf(records: RecordStore, accountId: string): Promise<NamedKey | undefined> {
  const found = await records.get(accounts, accountId)
  return found === undefined ? undefined : namedKey(found.value.encryption)
}
