import type { Env } from '../base/env.ts'
import { put, VersionConflict, type Change, type RecordStore } from '../store/records.ts'
import { tenantNotFound } from './aadsts.ts'
import type { FindTenant } from './discovery.ts'
import { tenants, tenantsByDomain, type Tenant } from './records.ts'
import { trimBoth, trimEnd } from '../base/trim.ts'

/** Names that mean the tenant of the user who logs in. */
const anyTenant = new Set(['adfs', 'common', 'organizations'])
const domainPattern = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/

/** A tenant named by its id or its domain. */
export function tenantFinder(records: RecordStore): FindTenant {
  return async name => {
    const id = name.toLowerCase()
    if (anyTenant.has(id)) return undefined
    if (/^[0-9a-f-]{36}$/.test(id) && (await records.get(tenants, id))) return id
    const found = domainPattern.test(id) ? await records.get(tenantsByDomain, id) : undefined
    if (found) return found.value.tenantId
    throw tenantNotFound(name)
  }
}

/** A tenant as changes; its domain is made from its name: `Contoso Ltd` has `contoso-ltd.localhost`. */
export function newTenant(
  env: Env,
  wanted: { readonly displayName: string; readonly domain: string; readonly suffix?: string },
): { readonly tenant: Tenant & { readonly domainName: string }; readonly changes: readonly Change[] } {
  const { displayName, domain, suffix = '' } = wanted
  const tenantId = env.uuid()
  const domainName = `${slug(displayName) || 'tenant'}${suffix}.${domain}`
  const tenant = { tenantId, displayName, domainName, createdAt: env.now() }
  return { tenant, changes: [put(tenants, tenantId, tenant, 0), put(tenantsByDomain, domainName, { tenantId }, 0)] }
}

/** Makes a tenant. Where its domain is taken, a few random letters are appended. */
export async function createTenant(
  { records, env, domain }: { readonly records: RecordStore; readonly env: Env; readonly domain: string },
  displayName: string,
  commit: (tenantId: string, changes: readonly Change[]) => Promise<unknown> = (_, changes) => records.commit(changes),
): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    const suffix = attempt === 0 ? '' : `-${env.randomBytes(3).toString('hex')}`
    const { tenant, changes } = newTenant(env, { displayName, domain, suffix })
    try {
      await commit(tenant.tenantId, changes)
      return tenant.tenantId
    } catch (error) {
      if (!(error instanceof VersionConflict) || attempt === 5) throw error
    }
  }
}

/** Tenants of the first version have no domain of their own. */
export function domainOf(tenant: Tenant, domain: string): string {
  return tenant.domainName ?? `${tenant.tenantId}.${domain}`
}

function slug(name: string): string {
  const words = name.toLowerCase().replace(/[^a-z0-9]+/g, '-')
  return trimEnd(trimBoth(words, '-').slice(0, 40), '-')
}
