import type { ZodType } from 'zod'
import type { Call, Route } from '../http/route.ts'
import { mustExist, type Stored } from '../store/records.ts'
import { deniedByPolicy, deniedByRbac, policiesAllow, type Principal } from './access.ts'
import { audited, type Outcome } from './audited.ts'
import { checkDataApiVersion } from './data-api-version.ts'
import { vaultNotFound } from './errors.ts'
import { deniedByFirewall, firewallDecision, isTrustedService } from './firewall.ts'
import { keyId } from './key-record.ts'
import { checkKeyName } from './key-rules.ts'
import { dataAction, type KeyPermission } from './permissions.ts'
import type { KeyVaultServices } from './services.ts'
import { liveVault, vaultResourceId, vaults, type Vault } from './vault-record.ts'
import { kid } from './wire-keys.ts'

/** What the handler of a data-plane operation gets, once all checks have passed. */
export interface DataContext {
  readonly services: KeyVaultServices
  readonly call: Call
  readonly vault: Vault
  /** The `:name` of the path, checked; empty where the path has none. */
  readonly name: string
  /** Milliseconds since 1970. */
  readonly now: number
}

export interface DataOperation<T> {
  readonly method: Route['method']
  /** One or several paths for the same operation. */
  readonly paths: readonly string[]
  /** Azure's name in the audit log, for example `KeyUnwrap`. */
  readonly operationName: string
  readonly permission: KeyPermission
  readonly maxBody?: number
  /** It changes the key of the path. */
  readonly changes?: true
  readonly body?: ZodType<T>
  readonly run: (context: DataContext, body: T) => Promise<Outcome>
}

const DEFAULT_MAX_BODY = 64 * 1024

/** The routes of one operation. Firewall, permission, limits and audit are part of it and can't be forgotten. */
export function dataRoutes<T>(services: KeyVaultServices, operation: DataOperation<T>): Route[] {
  const { method, paths, body } = operation
  const maxBody = operation.maxBody ?? (body === undefined ? 1024 : DEFAULT_MAX_BODY)
  return paths.map(path => ({
    host: 'vault',
    auth: 'vault',
    method,
    path,
    maxBody,
    handler: call => handle(services, call, operation),
  }))
}

async function handle<T>(services: KeyVaultServices, call: Call, operation: DataOperation<T>): Promise<Response> {
  const { value: first } = await findLive(services, call)
  const { name = '', version } = call.params
  const subject = {
    operationName: operation.operationName,
    resourceId: vaultResourceId(first),
    id: name === '' ? `${call.origin}/` : kid(call.origin, name, version).slice(0, 512),
  }
  let body: { readonly value: T }
  return audited(services, call, subject, {
    prepare: async () => {
      body = await readBody(services, call, first, operation)
    },
    run: async () => {
      // R19: checked again after the body came, which may take long, and at each further attempt.
      const { id, version: ofVault, value: vault } = await findLive(services, call)
      await enter(services, call, vault, operation.permission)
      const outcome = await operation.run({ services, call, vault, name, now: services.env.now() }, body.value)
      if (outcome.changes === undefined) return outcome
      // Making a key takes long, and meanwhile the vault may be purged or the permission taken away: then all of this is done again.
      return { ...outcome, changes: [mustExist(vaults, id, ofVault), ...outcome.changes] }
    },
    turn: operation.changes ? keyId(first, name) : undefined,
  })
}

/** A caller who may not do this at all is refused before the body is looked at. */
async function readBody<T>(
  services: KeyVaultServices,
  call: Call,
  vault: Vault,
  { body, permission }: DataOperation<T>,
): Promise<{ readonly value: T }> {
  if (body !== undefined) await enter(services, call, vault, permission)
  checkDataApiVersion(call)
  checkKeyName(call.params['name'] ?? 'none')
  // An operation without a schema takes no body, so `T` is undefined.
  return { value: body === undefined ? (undefined as T) : await call.json(body) }
}

async function findLive(services: KeyVaultServices, call: Call): Promise<Stored<Vault>> {
  const found = await liveVault(services.records, call.label)
  if (found === undefined) throw vaultNotFound(call.label)
  return found
}

/** Firewall first, then the permission, as Azure does. @throws 403 */
async function enter(services: KeyVaultServices, call: Call, vault: Vault, permission: KeyPermission): Promise<void> {
  // The route's authenticator lets only principals through.
  if (call.caller.type !== 'principal') throw vaultNotFound(call.label)
  checkFirewall(call, vault, call.caller)
  await checkPermission(services, call, vault, call.caller, permission)
}

function checkFirewall(call: Call, vault: Vault, principal: Principal): void {
  const decision = firewallDecision(vault, call.peer, isTrustedService(call.via, principal))
  if (decision !== 'allow') throw deniedByFirewall(vault, principal, call.peer, decision)
}

/** R10: access policies decide; in a vault that was switched to RBAC, role assignments alone. */
async function checkPermission(
  services: KeyVaultServices,
  call: Call,
  vault: Vault,
  principal: Principal,
  permission: KeyPermission,
): Promise<void> {
  if (!vault.properties.enableRbacAuthorization) {
    if (!policiesAllow(vault, principal, permission)) throw deniedByPolicy(vault, principal, permission)
    return
  }
  const name = call.params['name']
  const scope = name === undefined ? vaultResourceId(vault) : `${vaultResourceId(vault)}/keys/${name}`
  const sameTenant = principal.tenantId === vault.properties.tenantId
  if (sameTenant && (await services.resourceManager.allowsData(principal, scope, dataAction(permission)))) return
  throw deniedByRbac(vault, principal, permission, scope)
}
