import type { KeyObject } from 'node:crypto'
import { equalSecrets, mac } from '../crypto/derive.ts'
import type { Env } from '../base/env.ts'
import { Forbidden } from '../http/errors.ts'
import { put, remove, type Change, type RecordStore } from '../store/records.ts'
import { audienceOf } from './audiences.ts'
import { principals, principalsByApp, principalsByResource, type Principal } from './records.ts'
import { tokenSeconds, type IssuedToken, type Tokens } from './tokens.ts'

/** A token is reused while at least this much of its life is left. */
const freshMs = 10 * 60_000
const maxRemembered = 1_000

/** The system-assigned identities of resources. R13: turning one on makes a service principal in the tenant. */
export interface Identities {
  /** A new identity as changes, for the same commit as its resource's record. */
  create(resource: { readonly resourceId: string; readonly name: string; readonly tenantId: string }): {
    principalId: string
    clientId: string
    changes: Change[]
  }
  /** R31: the identity goes, with all of its tokens. Turning it on again makes a new one. */
  remove(principalId: string): Promise<Change[]>
  /** A disabled identity gets no tokens, and the ones it has are refused. */
  enable(principalId: string, enabled: boolean): Promise<Change[]>
  /** The resource was moved: the identity stays the same, under the resource's new id. */
  rename(principalId: string, resourceId: string): Promise<Change[]>
  /** The identity of a resource, whatever the letter case of its id. */
  byResource(resourceId: string): Promise<Principal | undefined>
  /**
   * A token of an identity for a service, for this process's own calls. An earlier token is reused while it is fresh, unless `isNew`.
   * @throws 403 ManagedIdentityUnavailable
   */
  token(principalId: string, audience: string, how?: { readonly isNew?: boolean }): Promise<IssuedToken>
  /** The secret that a caller on this machine presents to act as the identity (`X-IDENTITY-HEADER`). */
  secret(principalId: string): string
  /** The identity whose secret this is. */
  bySecret(secret: string): Promise<Principal | undefined>
}

export function openIdentities(options: {
  readonly records: RecordStore
  readonly env: Env
  readonly sealingKey: KeyObject
  readonly tokens: Tokens
  readonly domain: string
}): Identities {
  const { records, env, sealingKey, tokens, domain } = options
  const issued = new Map<string, IssuedToken>()
  // It may be part of a URL, which some clients write in lower case, so it is hexadecimal.
  const secretOf = (principalId: string): string =>
    `${principalId}.${mac(sealingKey, 'entra identity header', principalId).toString('hex')}`
  const living = async (principalId: string): Promise<Principal | undefined> => {
    const found = (await records.get(principals, principalId))?.value
    return found?.enabled && found.kind === 'managed-identity' ? found : undefined
  }
  return {
    create: resource => createIdentity(env, resource),
    ...changes(records),
    async byResource(resourceId) {
      const known = await records.get(principalsByResource, resourceId.toLowerCase())
      return known && living(known.value.objectId)
    },
    async token(principalId, audience, { isNew = false } = {}) {
      if (audienceOf(audience, domain) === undefined) throw new Error(`No service is called ${audience}.`)
      const principal = await living(principalId)
      if (!principal) {
        const message = `The managed identity ${principalId} does not exist any more, or is disabled.`
        throw new Forbidden('ManagedIdentityUnavailable', message)
      }
      const key = `${principalId} ${audience}`
      const known = isNew ? undefined : issued.get(key)
      const left = known === undefined ? 0 : known.expiresAt - env.now()
      // More than a whole life is left only where the clock was put back, so the token is not valid yet.
      const isFresh = left > freshMs && left <= tokenSeconds * 1000
      // Where the clock went far ahead and back, the token's signing key may be gone.
      if (known !== undefined && isFresh && tokens.isVerifiable(known.token)) return known
      const fresh = await tokens.issue(principal, audience)
      if (issued.size >= maxRemembered) issued.clear()
      issued.set(key, fresh)
      return fresh
    },
    secret: secretOf,
    async bySecret(secret) {
      const principalId = /^([0-9a-f-]{36})\.[0-9a-f]{64}$/.exec(secret)?.[1]
      if (principalId === undefined || !equalSecrets(secret, secretOf(principalId))) return undefined
      return living(principalId)
    },
  }
}

/** The change of an identity, for its resource's commit. */
function changes(records: RecordStore): Pick<Identities, 'remove' | 'enable' | 'rename'> {
  return {
    async remove(principalId) {
      const found = await records.get(principals, principalId)
      if (!found) return []
      const { appId, resourceId } = found.value
      const removals = [remove(principals, principalId, found.version), remove(principalsByApp, appId)]
      return resourceId === undefined ? removals : [...removals, remove(principalsByResource, resourceId.toLowerCase())]
    },
    async enable(principalId, enabled) {
      const found = await records.get(principals, principalId)
      return found === undefined ? [] : [put(principals, principalId, { ...found.value, enabled }, found.version)]
    },
    async rename(principalId, resourceId) {
      const found = await records.get(principals, principalId)
      if (found === undefined) return []
      const { resourceId: before = resourceId } = found.value
      return [
        put(principals, principalId, { ...found.value, resourceId }, found.version),
        remove(principalsByResource, before.toLowerCase()),
        put(principalsByResource, resourceId.toLowerCase(), { objectId: principalId }),
      ]
    },
  }
}

function createIdentity(
  env: Env,
  resource: { readonly resourceId: string; readonly name: string; readonly tenantId: string },
): { principalId: string; clientId: string; changes: Change[] } {
  const principal: Principal = {
    objectId: env.uuid(),
    tenantId: resource.tenantId,
    appId: env.uuid(),
    kind: 'managed-identity',
    displayName: resource.name,
    resourceId: resource.resourceId,
    enabled: true,
    createdAt: env.now(),
  }
  const { objectId, appId } = principal
  const changes = [
    put(principals, objectId, principal, 0),
    put(principalsByApp, appId, { objectId }, 0),
    put(principalsByResource, resource.resourceId.toLowerCase(), { objectId }, 0),
  ]
  return { principalId: objectId, clientId: appId, changes }
}
