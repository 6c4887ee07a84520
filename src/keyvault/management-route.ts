import type { ZodType } from 'zod'
import { apiVersion } from '../arm/api-version.ts'
import { AzureError } from '../http/errors.ts'
import type { Call, Route } from '../http/route.ts'
import { audited, type Outcome } from './audited.ts'
import type { KeyVaultServices } from './services.ts'
import { VAULT_TYPE } from './vault-record.ts'

/** Newest last. */
export const VAULT_API_VERSIONS: readonly string[] = (
  '2015-06-01 2016-10-01 2018-02-14-preview 2018-02-14 2019-09-01 2020-04-01-preview 2021-04-01-preview ' +
  '2021-06-01-preview 2021-10-01 2021-11-01-preview 2022-02-01-preview 2022-07-01 2022-11-01 2023-02-01 2023-07-01 ' +
  '2024-04-01-preview 2024-11-01 2024-12-01-preview 2025-05-01 2026-02-01'
).split(' ')

/** What the handler of a management operation gets, once Resource Manager has authorized it. */
export interface ManagementContext {
  readonly services: KeyVaultServices
  readonly call: Call
  readonly apiVersion: string
  readonly subscriptionId: string
  /** Milliseconds since 1970. */
  readonly now: number
}

export interface ManagementOperation<T> {
  readonly method: Route['method']
  readonly path: string
  readonly operationName: string
  /** For example `Microsoft.KeyVault/vaults/write`. */
  readonly action: string
  /** Default: the versions of vaults. */
  readonly apiVersions?: readonly string[]
  readonly maxBody?: number
  readonly body?: ZodType<T>
  readonly run: (context: ManagementContext, body: T) => Promise<Outcome>
}

/** Enough for 1,024 access policies with all permissions. */
const DEFAULT_MAX_BODY = 2 * 1024 * 1024

/** The route of one operation of Microsoft.KeyVault, with its role check, api-version, limits and audit. */
export function managementRoute<T>(services: KeyVaultServices, operation: ManagementOperation<T>): Route {
  const { method, path, body } = operation
  const maxBody = operation.maxBody ?? (body === undefined ? 1024 : DEFAULT_MAX_BODY)
  const handler = (call: Call): Promise<Response> => handle(services, call, operation)
  return { host: 'management', auth: 'management', method, path, maxBody, handler }
}

async function handle<T>(services: KeyVaultServices, call: Call, operation: ManagementOperation<T>): Promise<Response> {
  const scope = scopeOf(call)
  let given: { readonly apiVersion: string; readonly subscriptionId: string; readonly body: T }
  return audited(
    services,
    call,
    { operationName: operation.operationName, resourceId: subjectOf(call) ?? scope, id: subjectOf(call) ?? scope },
    {
      prepare: async () => {
        const version = checkedVersion(call, operation.apiVersions ?? VAULT_API_VERSIONS)
        const { subscriptionId } = await services.resourceManager.subscription(call.params['subscription'] ?? '')
        await services.resourceManager.authorize(call.caller, scope, operation.action)
        // An operation without a schema takes no body, so `T` is undefined.
        const body = operation.body === undefined ? (undefined as T) : await call.json(operation.body)
        given = { apiVersion: version, subscriptionId, body }
      },
      run: async () => {
        // The body may have taken long, so it is checked again.
        if (operation.body !== undefined) await services.resourceManager.authorize(call.caller, scope, operation.action)
        const { body, ...rest } = given
        return operation.run({ services, call, ...rest, now: services.env.now() }, body)
      },
      turn: operation.method === 'GET' ? undefined : call.params['vault']?.toLowerCase(),
    },
  )
}

/** The id of the vault, group or subscription that the path names. */
function scopeOf(call: Call): string {
  const { subscription = '', group, vault } = call.params
  const subscriptionScope = `/subscriptions/${subscription}`
  if (group === undefined) return subscriptionScope
  const groupScope = `${subscriptionScope}/resourceGroups/${group}`
  return vault === undefined ? groupScope : `${groupScope}/providers/${VAULT_TYPE}/${vault}`
}

/** For a deleted vault the permission is checked at the subscription, but the record names the vault. */
function subjectOf(call: Call): string | undefined {
  const { subscription = '', location, vault } = call.params
  if (location === undefined || vault === undefined) return undefined
  return `/subscriptions/${subscription}/providers/Microsoft.KeyVault/locations/${location}/deletedVaults/${vault}`
}

function checkedVersion(call: Call, known: readonly string[]): string {
  const version = apiVersion(call)
  if (known.includes(version)) return version
  throw new AzureError(
    'NoRegisteredProviderFound',
    400,
    `No registered resource provider found for API version '${version}' for type 'vaults'. The supported api-versions are '${known.join(', ')}'.`,
  )
}
