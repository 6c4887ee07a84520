import { attempt, pickOf, type At, type Operation } from './at.ts'
import { pathOf } from './engine-operations.ts'
import { Known, type MainAccount, type VaultKey } from './model.ts'
import { bodyOf, type Outcome } from './session.ts'

/** Without purge protection: its keys can be destroyed for good. */
export const SCRATCH = 'kv-scratch'
export const KEY = 'cmk'
const MOST_KEYS = 4
const RSA = { kty: 'RSA', key_size: 2048 }

/** A vault's own path below its subscription. */
export const vaultPath = (name: string): string => `/resourceGroups/torture/providers/Microsoft.KeyVault/vaults/${name}`

export const versionOf = (outcome: Outcome): string => String(bodyOf(outcome).key.kid).split('/').at(-1) ?? ''

/** Adds or removes permissions of the account's identity in its vault. */
export function setPolicy(at: Pick<At, 'session'>, account: MainAccount, kind: 'add' | 'remove'): Promise<Outcome> {
  const { tenantId } = at.session.endpoints
  const permissions = { keys: ['get', 'wrapKey', 'unwrapKey'] }
  const accessPolicies = [{ tenantId, objectId: account.principalId, permissions }]
  const path = `${vaultPath(account.vault)}/accessPolicies/${kind}`
  return at.session.arm('PUT', path, { properties: { accessPolicies } })
}

function changeKey(at: At, account: MainAccount): Promise<unknown> {
  const next = at.random.chance(0.25) ? 'service' : at.random.pick(account.versions)
  const keyVaultUri = `https://${account.vault}${at.session.endpoints.keyVaultSuffix}/`
  const encryption =
    next === 'service'
      ? { keySource: 'Microsoft.CognitiveServices' }
      : { keySource: 'Microsoft.KeyVault', keyVaultProperties: { keyVaultUri, keyName: KEY, keyVersion: next } }
  const ask = (): Promise<Outcome> => at.session.arm('PATCH', pathOf(account.name), { properties: { encryption } })
  return attempt(at, { name: 'change key', known: account.protectedBy, next, ask })
}

async function makeVersion(at: At, account: MainAccount): Promise<void> {
  const outcome = await at.session.vault('POST', account.vault, `/keys/${KEY}/create`, RSA)
  at.model.count('new key version', outcome.kind)
  if (outcome.kind === 'done') account.versions.push(versionOf(outcome))
}

async function makeKey(at: At): Promise<void> {
  const item: VaultKey = {
    name: at.model.name('key'),
    state: new Known<VaultKey['state']['possible'][number]>('absent'),
  }
  at.model.keys.push(item)
  let version = ''
  const made = await attempt(at, {
    name: 'create key',
    known: item.state,
    next: 'live',
    ask: () => at.session.vault('POST', SCRATCH, `/keys/${item.name}/create`, RSA),
    done: outcome => (version = versionOf(outcome)),
  })
  if (made.kind !== 'done') return
  const text = Buffer.from(`sealed by ${item.name}`).toString('base64url')
  const sealing = { alg: 'RSA-OAEP-256', value: text }
  const sealed = await at.session.vault('POST', SCRATCH, `/keys/${item.name}/${version}/encrypt`, sealing)
  if (sealed.kind === 'done') item.sealed = { text, value: bodyOf(sealed).value, version }
}

/** One step of a key's life. */
function step(
  name: string,
  weight: number,
  [from, next]: readonly ['live' | 'deleted', 'live' | 'deleted' | 'purged'],
  request: (key: string) => readonly [string, string],
): Operation {
  return {
    name,
    weight,
    attempt: at => {
      const key = pickOf(at.random, at.model.keys, ({ state }) => state.isFree && state.now === from)
      if (key === undefined) return undefined
      const [method, path] = request(key.name)
      return attempt(at, { name, known: key.state, next, ask: () => at.session.vault(method, SCRATCH, path) })
    },
  }
}

export const keyOperations: readonly Operation[] = [
  {
    name: 'new key version',
    weight: 2,
    attempt: at => {
      const account = at.random.pick(at.model.main)
      return account.versions.length < 40 ? makeVersion(at, account) : undefined
    },
  },
  {
    name: 'change key',
    weight: 4,
    attempt: at => {
      const account = pickOf(at.random, at.model.main, ({ protectedBy }) => protectedBy.isFree)
      return account === undefined ? undefined : changeKey(at, account)
    },
  },
  {
    name: 'policy',
    weight: 3,
    attempt: at => {
      const account = pickOf(at.random, at.model.main, ({ policy }) => policy.isFree)
      if (account === undefined) return undefined
      const next = account.policy.now === 'granted' ? 'removed' : 'granted'
      // Most of the time everything is to work.
      if (next === 'removed' && at.random.chance(0.5)) return undefined
      if (next === 'removed') account.hadKeyTrouble = true
      const ask = (): Promise<Outcome> => setPolicy(at, account, next === 'granted' ? 'add' : 'remove')
      return attempt(at, { name: 'policy', known: account.policy, next, ask })
    },
  },
  {
    name: 're-encrypt',
    weight: 2,
    attempt: async at => {
      const account = at.random.pick(at.model.main)
      const outcome = await at.session.arm('POST', `${pathOf(account.name)}/reEncrypt`, {})
      at.model.count('re-encrypt', outcome.kind)
      if (outcome.kind === 'done') account.reEncryptions += 1
    },
  },
  {
    name: 'create key',
    weight: 2,
    attempt: at =>
      at.model.keys.filter(({ state }) => !['absent', 'purged'].includes(state.now ?? '')).length < MOST_KEYS
        ? makeKey(at)
        : undefined,
  },
  step('delete key', 2, ['live', 'deleted'], key => ['DELETE', `/keys/${key}`]),
  step('recover key', 1, ['deleted', 'live'], key => ['POST', `/deletedkeys/${key}/recover`]),
  step('purge key', 1, ['deleted', 'purged'], key => ['DELETE', `/deletedkeys/${key}`]),
]
