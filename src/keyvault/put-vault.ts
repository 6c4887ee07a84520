import { noteOperation } from '../audit/request-context.ts'
import { AzureError, Conflict } from '../http/errors.ts'
import type { Caller } from '../http/route.ts'
import { put, type Stored } from '../store/records.ts'
import { systemEvent } from '../audit/audit-event.ts'
import type { Outcome } from './audited.ts'
import { isPlacedIn, plainLocation, vaultNamed } from './find-vault.ts'
import type { ManagementContext } from './management-route.ts'
import { checkModelChange } from './permission-model.ts'
import type { KeyVaultServices } from './services.ts'
import { invalidVaultName, isVaultName, NAME_IS_DELETED, takenVaultName } from './vault-name.ts'
import { vaultResourceId, vaults, type AccessPolicy, type Vault, type VaultProperties } from './vault-record.ts'
import type { PutVaultBody } from './vault-requests.ts'
import { badRequest, newVaultProperties, replacedVaultProperties } from './vault-rules.ts'
import { vaultBody } from './wire-vaults.ts'

/** Creates, replaces or recovers a vault, depending on its state and `createMode`. */
export async function putVault(context: ManagementContext, body: PutVaultBody): Promise<Outcome> {
  if (body.properties.createMode === 'recover') return recoverVault(context)
  const { services, call, subscriptionId } = context
  const { group = '', vault: name = '' } = call.params
  if (!isVaultName(name)) throw new AzureError('VaultNameNotValid', 400, invalidVaultName(name))
  const before = await services.records.get(vaults, name.toLowerCase())
  if (before === undefined) return createVault(context, body)
  if (before.value.deleted !== undefined) throw new Conflict('ConflictError', NAME_IS_DELETED)
  if (!isPlacedIn(before.value, subscriptionId, group)) throw new Conflict('VaultAlreadyExists', takenVaultName(name))
  if (plainLocation(body.location) !== before.value.location) {
    throw new Conflict(
      'InvalidResourceLocation',
      `The resource '${name}' already exists in location '${before.value.location}' in resource group '${before.value.group}'. A resource ` +
        `with the same name cannot be created in location '${plainLocation(body.location)}'. Please select a new resource name.`,
    )
  }
  const properties = replacedVaultProperties(before.value.properties, body.properties)
  return changeVault(context, before, { ...before.value, tags: body.tags ?? {}, properties })
}

/** The result of PUT and PATCH for a vault that exists. @throws 400 InsufficientPermissions, BadRequest (tenant) */
export async function changeVault(context: ManagementContext, before: Stored<Vault>, after: Vault): Promise<Outcome> {
  // R19, R20: this changes its policies, permission model and firewall.
  noteOperation({ endsAccess: true })
  await checkModelChange(context, before.value, after)
  if (after.properties.tenantId !== before.value.properties.tenantId) await checkTenant(context, after.properties)
  return changed(context, before, after)
}

/** R07 R32: a vault serves the tenant of its subscription or, after that was moved, still its former one. @throws 400 BadRequest */
async function checkTenant(
  { services, subscriptionId }: ManagementContext,
  { tenantId }: VaultProperties,
): Promise<void> {
  const own = (await services.resourceManager.subscription(subscriptionId)).tenantId
  if (tenantId === own.toLowerCase()) return
  const message = `An invalid value was provided for 'tenantId'. The tenant of the vault's subscription is '${own}'.`
  throw badRequest(message, 'properties.tenantId')
}

async function createVault(context: ManagementContext, body: PutVaultBody): Promise<Outcome> {
  const { services, call, subscriptionId, now } = context
  const { group = '', vault: name = '' } = call.params
  const { group: inside, held } = await services.resourceManager.groupForNew(subscriptionId, group)
  const by = nameOf(call.caller)
  const properties = newVaultProperties(body.properties, context.apiVersion)
  await checkTenant(context, properties)
  const vault: Vault = {
    id: services.env.uuid(),
    name,
    subscriptionId,
    group: inside.name,
    location: checkedLocation(services, body.location),
    tags: body.tags ?? {},
    properties,
    createdAt: now,
    createdBy: by,
    changedAt: now,
    changedBy: by,
  }
  return {
    status: 201,
    body: vaultBody(vault, services.vaultUri(name)),
    changes: [held, put(vaults, name.toLowerCase(), vault, 0)],
    id: vaultResourceId(vault),
  }
}

/** R21: a recovered vault comes back with its keys, policies and firewall. */
async function recoverVault(context: ManagementContext): Promise<Outcome> {
  const { group = '', vault: name = '' } = context.call.params
  const before = await vaultNamed(context.services, name)
  if (before?.value.deleted === undefined || !isPlacedIn(before.value, context.subscriptionId)) throw nothingToRecover()
  if (!isPlacedIn(before.value, context.subscriptionId, group)) {
    throw badRequest(`The vault was deleted from resource group '${before.value.group}': recover it there.`)
  }
  if (before.value.purging) throw new Conflict('ConflictError', `The vault '${before.value.name}' is being purged.`)
  const { held } = await context.services.resourceManager.groupForNew(context.subscriptionId, group)
  const { deleted: _, ...vault } = before.value
  const recovered = changed(context, before, vault)
  return { ...recovered, changes: [held, ...(recovered.changes ?? [])], operationName: 'VaultRecover' }
}

function nothingToRecover(): AzureError {
  return new AzureError(
    'SoftDeletedVaultDoesNotExist',
    400,
    'A soft deleted vault with the given name does not exist. Ensure that the name for the vault that is being attempted to recover is in a recoverable state.',
  )
}

/** The new state of a vault. */
function changed({ services, call, now }: ManagementContext, before: Stored<Vault>, after: Vault): Outcome {
  const vault: Vault = { ...after, changedAt: now, changedBy: nameOf(call.caller) }
  const policiesDiffer = !samePolicies(before.value.properties.accessPolicies, vault.properties.accessPolicies)
  return {
    status: 200,
    body: vaultBody(vault, services.vaultUri(vault.name)),
    changes: [put(vaults, before.id, vault, before.version)],
    id: vaultResourceId(vault),
    ...(policiesDiffer ? { afterwards: () => notePolicyChange(services, vault, before.value, call.requestId) } : {}),
  }
}

/** How many policies with every permission fit into one record. */
const POLICIES_IN_RECORD = 40

/** R19: the new policies, for the audit log; where a record can't hold all of them, those that changed. */
export async function notePolicyChange(
  services: KeyVaultServices,
  vault: Vault,
  before: Vault,
  correlationId: string,
): Promise<void> {
  const resourceId = vaultResourceId(vault)
  const note = async (properties: Readonly<Record<string, unknown>>): Promise<void> => {
    const operationName = 'VaultAccessPolicyChangedEventGridNotification'
    const subject = { operationName, resourceId, id: resourceId, properties }
    await services.audit.append(systemEvent(services.env.now(), correlationId, subject))
  }
  const { accessPolicies } = vault.properties
  if (accessPolicies.length <= POLICIES_IN_RECORD) return note({ accessPolicies })
  const total = accessPolicies.length
  const [old, now] = [policyTexts(before), policyTexts(vault)]
  const changedOnes = accessPolicies.filter(policy => !old.has(JSON.stringify(policy)))
  const removed = before.properties.accessPolicies.filter(policy => !now.has(JSON.stringify(policy)))
  for (let from = 0; from < Math.max(changedOnes.length, removed.length); from += POLICIES_IN_RECORD) {
    const part = <T>(all: readonly T[]): T[] => all.slice(from, from + POLICIES_IN_RECORD)
    await note({ total, accessPolicies: part(changedOnes), removed: part(removed).map(({ objectId }) => objectId) })
  }
}

function policyTexts({ properties }: Vault): Set<string> {
  return new Set(properties.accessPolicies.map(policy => JSON.stringify(policy)))
}

function samePolicies(a: readonly AccessPolicy[], b: readonly AccessPolicy[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

function checkedLocation(services: KeyVaultServices, text: string): string {
  const location = plainLocation(text)
  if (services.locations.includes(location)) return location
  throw new AzureError(
    'LocationNotAvailableForResourceType',
    400,
    `The provided location '${text}' is not available for resource type 'Microsoft.KeyVault/vaults'. List of available regions for the resource type is '${services.locations.join(',')}'.`,
    { target: 'location' },
  )
}

function nameOf(caller: Caller): string {
  if (caller.type !== 'principal') return ''
  const upn = caller.claims['upn']
  return typeof upn === 'string' ? upn : caller.appId
}
