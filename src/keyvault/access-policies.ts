import { PERMISSIONS_BY_KIND, type PermissionKind } from './permissions.ts'
import type { AccessPolicy } from './vault-record.ts'
import { badRequest, policyIdentity, union, withPermissions } from './vault-rules.ts'

export type PolicyUpdate = 'add' | 'replace' | 'remove'

const MAX_POLICIES = 1024

/**
 * `add` gives permissions, `replace` sets those of the identities named, `remove` takes permissions away (R19 R20).
 * A policy without permissions is removed. @throws 400 above 1,024 policies
 */
export function updatedPolicies(
  before: readonly AccessPolicy[],
  update: PolicyUpdate,
  given: readonly AccessPolicy[],
): AccessPolicy[] {
  const policies = new Map(before.map(policy => [policyIdentity(policy), policy]))
  for (const policy of given) {
    const id = policyIdentity(policy)
    const present = policies.get(id)
    const next = combined(update, present, policy)
    if (next === undefined) policies.delete(id)
    else policies.set(id, next)
  }
  if (policies.size <= MAX_POLICIES) return [...policies.values()]
  throw badRequest(`A vault takes at most ${MAX_POLICIES} access policies.`, 'properties.accessPolicies')
}

function combined(
  update: PolicyUpdate,
  present: AccessPolicy | undefined,
  given: AccessPolicy,
): AccessPolicy | undefined {
  if (update === 'replace') return given
  if (update === 'add') return present === undefined ? given : withPermissions(present, given, union)
  // An identity that is named without permissions is removed.
  if (present === undefined || isEmpty(given)) return undefined
  const rest = withPermissions(present, given, without)
  return isEmpty(rest) ? undefined : rest
}

/** `all` without one permission is every other one, so that a revocation always has an effect. */
function without(own: readonly string[], taken: readonly string[], kind: PermissionKind): string[] {
  if (taken.includes('all')) return []
  const held = own.includes('all') && taken.length > 0 ? PERMISSIONS_BY_KIND[kind] : own
  return held.filter(permission => !taken.includes(permission))
}

function isEmpty({ permissions }: AccessPolicy): boolean {
  return Object.values(permissions).every(list => list.length === 0)
}
