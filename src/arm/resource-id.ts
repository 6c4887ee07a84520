import { AzureError } from '../http/errors.ts'
import { trimBoth } from '../base/trim.ts'

export interface ResourceId {
  readonly subscriptionId: string
  readonly group: string
  /** For example `Microsoft.KeyVault/vaults`. */
  readonly type: string
  readonly name: string
}

/** `/subscriptions/S/resourceGroups/RG/providers/NS/type/name`, in the letters given. */
export function formatResourceId(id: ResourceId): string {
  const [namespace, type] = splitType(id.type)
  return `/subscriptions/${id.subscriptionId}/resourceGroups/${id.group}/providers/${namespace}/${type}/${id.name}`
}

/** The resource's own part of a resource id (children are cut off); undefined when it is not a resource id. */
export function parseResourceId(text: string): ResourceId | undefined {
  const match = /^\/subscriptions\/([^/]+)\/resourcegroups\/([^/]+)\/providers\/([^/]+)\/([^/]+)\/([^/]+)/i.exec(text)
  if (match === null) return undefined
  const [, subscriptionId = '', group = '', namespace = '', type = '', name = ''] = match
  return { subscriptionId, group, type: `${namespace}/${type}`, name }
}

/** Scopes and ids compare case-insensitively, without a trailing slash. */
export function scopeKey(scope: string): string {
  return `/${trimBoth(scope.toLowerCase(), '/')}`
}

/** True when `scope` is `ancestor` or lies below it. */
export function isWithin(scope: string, ancestor: string): boolean {
  const inner = scopeKey(scope)
  const outer = scopeKey(ancestor)
  return outer === '/' || inner === outer || inner.startsWith(`${outer}/`)
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** @throws 400 InvalidSubscriptionId */
export function checkSubscriptionId(text: string): string {
  if (UUID.test(text)) return text.toLowerCase()
  throw new AzureError(
    'InvalidSubscriptionId',
    400,
    `The provided subscription identifier '${text.slice(0, 64)}' is malformed or invalid: it must be a GUID.`,
  )
}

function splitType(type: string): [string, string] {
  const slash = type.indexOf('/')
  return [type.slice(0, slash), type.slice(slash + 1)]
}
