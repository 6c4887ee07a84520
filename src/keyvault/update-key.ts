import { noteOperation } from '../audit/request-context.ts'
import type { Route } from '../http/route.ts'
import { put } from '../store/records.ts'
import type { Outcome } from './audited.ts'
import { dataRoutes, type DataContext } from './data-route.ts'
import { findVersion } from './find-version.ts'
import { keyVersions, type KeyVersion } from './key-record.ts'
import { checkKeyOps, checkTimes } from './key-rules.ts'
import { updateBody, type UpdateBody } from './key-requests.ts'
import type { KeyVaultServices } from './services.ts'
import { keyBundle, kid } from './wire-keys.ts'

/** R21: disables and enables single versions. */
export function updateKeyRoutes(services: KeyVaultServices): Route[] {
  return dataRoutes(services, {
    method: 'PATCH',
    paths: ['/keys/:name', '/keys/:name/:version'],
    operationName: 'KeyUpdate',
    changes: true,
    permission: 'update',
    body: updateBody,
    run: update,
  })
}

async function update(context: DataContext, body: UpdateBody): Promise<Outcome> {
  const { services, call, vault, now } = context
  // R21: this disables a key.
  noteOperation({ endsAccess: true })
  const { key, version: before } = await findVersion(context)
  const version = updated(before.value, body, now)
  return {
    body: keyBundle(call.origin, vault, key.value, version),
    changes: [put(keyVersions, before.id, version, before.version)],
    id: kid(call.origin, key.value.name, version.version),
    properties: { attributesUpdated: Object.keys(body.attributes ?? {}) },
    // A disabled key must not stay in memory.
    afterwards: () => (version.enabled ? undefined : services.materials.forget(before.id)),
  }
}

/** Fields that the body leaves out stay, a time that is null is removed, tags are replaced as a whole. @throws 400 BadParameter */
function updated(before: KeyVersion, body: UpdateBody, now: number): KeyVersion {
  const given = body.attributes
  const nbf = changed(before.nbf, given?.nbf)
  const exp = changed(before.exp, given?.exp)
  checkTimes(nbf, exp)
  const { nbf: _nbf, exp: _exp, ...timeless } = before
  const { notified: _, expiryNotified: __, ...unnoticed } = timeless
  return {
    // With another expiry, the notices that were given no longer apply.
    ...(exp === before.exp ? timeless : unnoticed),
    keyOps: body.key_ops === undefined ? before.keyOps : checkKeyOps(before.kty, body.key_ops),
    enabled: given?.enabled ?? before.enabled,
    ...(nbf === undefined ? {} : { nbf }),
    ...(exp === undefined ? {} : { exp }),
    ...(body.tags === undefined ? {} : { tags: body.tags }),
    updated: Math.floor(now / 1000),
  }
}

const changed = (before: number | undefined, given: number | null | undefined): number | undefined =>
  given === null ? undefined : (given ?? before)
