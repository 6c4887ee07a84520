import type { KeyObject } from 'node:crypto'
import { openBox, sealBox } from '../crypto/box.ts'
import { equalSecrets } from '../crypto/derive.ts'
import { encodeContext } from '../crypto/wrap.ts'
import type { Env } from '../base/env.ts'
import type { Account } from './account.ts'

/** An account's two keys, as `listKeys` shows them. */
export interface ApiKeys {
  readonly key1: string
  readonly key2: string
}

/** 256 random bits as 64 hex digits. */
export function newApiKeys(env: Env): ApiKeys {
  return { key1: env.randomBytes(32).toString('hex'), key2: env.randomBytes(32).toString('hex') }
}

export function sealApiKeys(identityKey: KeyObject, accountId: string, keys: ApiKeys): string {
  return sealBox(identityKey, encodeContext('api keys', accountId), Buffer.from(JSON.stringify(keys))).toString(
    'base64',
  )
}

export function openApiKeys(identityKey: KeyObject, account: Pick<Account, 'accountId' | 'sealedKeys'>): ApiKeys {
  const bytes = openBox(
    identityKey,
    encodeContext('api keys', account.accountId),
    Buffer.from(account.sealedKeys, 'base64'),
  )
  return JSON.parse(bytes.toString('utf8')) as ApiKeys
}

/** Compares with both keys in constant time. */
export function matchesApiKey(keys: ApiKeys, given: string): boolean {
  const first = equalSecrets(keys.key1, given)
  const second = equalSecrets(keys.key2, given)
  return first || second
}
