import { NotFound } from '../http/errors.ts'
import type { Stored } from '../store/records.ts'
import { allVaults, vaults, VAULT_TYPE, type Vault } from './vault-record.ts'
import type { ManagementContext } from './management-route.ts'
import type { KeyVaultServices } from './services.ts'
import { isVaultName } from './vault-name.ts'
import { invalidSkipToken } from '../arm/paging.ts'
import { badRequest } from './vault-rules.ts'

/** Names of groups and subscriptions compare without letter case. */
export function isPlacedIn(vault: Vault, subscriptionId: string, group?: string): boolean {
  const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()
  return same(vault.subscriptionId, subscriptionId) && (group === undefined || same(vault.group, group))
}

/** The vault of that name, live or deleted; undefined also for a text that can't be a name. */
export async function vaultNamed(services: KeyVaultServices, name: string): Promise<Stored<Vault> | undefined> {
  return isVaultName(name) ? services.records.get(vaults, name.toLowerCase()) : undefined
}

/** The live vault of the path. @throws 404 ResourceNotFound */
export async function findVault({ services, call, subscriptionId }: ManagementContext): Promise<Stored<Vault>> {
  const { group = '', vault = '' } = call.params
  const found = await vaultNamed(services, vault)
  if (found !== undefined && found.value.deleted === undefined && isPlacedIn(found.value, subscriptionId, group)) {
    return found
  }
  throw new NotFound(
    'ResourceNotFound',
    `The Resource '${VAULT_TYPE}/${vault.slice(0, 64)}' under resource group '${group}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix`,
  )
}

/** The soft-deleted vault of the path. @throws 404 DeletedVaultNotFound */
export async function findDeletedVault({ services, call, subscriptionId }: ManagementContext): Promise<Stored<Vault>> {
  const { location, vault = '' } = call.params
  const found = await vaultNamed(services, vault)
  const here = location === undefined || found?.value.location === plainLocation(location)
  if (found?.value.deleted !== undefined && here && isPlacedIn(found.value, subscriptionId)) return found
  throw new NotFound('DeletedVaultNotFound', `The specified deleted vault '${vault.slice(0, 64)}' does not exist.`)
}

/** `West Europe` and `westeurope` are one. */
export function plainLocation(location: string): string {
  return location.toLowerCase().replaceAll(' ', '')
}

/** Vaults of a subscription or of one of its groups, in the order of their names. */
export async function listVaults(
  services: KeyVaultServices,
  state: 'live' | 'deleted',
  subscriptionId: string,
  group?: string,
): Promise<Vault[]> {
  const found: Vault[] = []
  for await (const { value } of allVaults(services.records)) {
    const wanted = (value.deleted === undefined) === (state === 'live')
    if (wanted && isPlacedIn(value, subscriptionId, group)) found.push(value)
  }
  return found
}

/** One page of them, by `$top` and the opaque `$skiptoken`; `nextLink` is absent on the last. @throws 400 BadRequest */
export async function vaultPage(
  { services, call, subscriptionId }: ManagementContext,
  state: 'live' | 'deleted',
  show: (vault: Vault) => object,
): Promise<{ value: object[]; nextLink?: string }> {
  const all = await listVaults(services, state, subscriptionId, call.params['group'])
  const size = pageSize(call.query.get('$top'))
  const token = call.query.get('$skiptoken') ?? ''
  const after = Buffer.from(token, 'base64url').toString()
  if (token !== '' && (!isVaultName(after) || Buffer.from(after).toString('base64url') !== token))
    throw invalidSkipToken()
  const rest = after === '' ? all : all.filter(({ name }) => name.toLowerCase() > after)
  const value = rest.slice(0, size)
  const last = value.at(-1)
  if (rest.length <= size || last === undefined) return { value: value.map(show) }
  const next = new URL(call.url)
  next.searchParams.set('$skiptoken', Buffer.from(last.name.toLowerCase()).toString('base64url'))
  return { value: value.map(show), nextLink: next.href }
}

const MAX_PAGE = 1000

function pageSize(top: string | undefined): number {
  if (top === undefined || top === '') return MAX_PAGE
  if (/^\d{1,6}$/.test(top) && Number(top) > 0) return Math.min(Number(top), MAX_PAGE)
  throw badRequest("'$top' must be a whole number of at least 1.", '$top')
}
