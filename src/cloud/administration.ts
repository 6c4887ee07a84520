import { allPrincipals } from '../entra/all-principals.ts'
import type { Entra } from '../entra/open-entra.ts'
import { principals, tenants, type Principal } from '../entra/records.ts'
import { allRecords } from '../store/every-record.ts'
import type { RecordStore } from '../store/records.ts'

/** What the process itself may do in the name of its tenants' administrators. It can't be reached from outside. */
export interface Administration {
  tenants(): Promise<{ readonly tenantId: string; readonly displayName: string }[]>
  /** The application that administers the tenant, which was its first. @throws when it does not exist any more */
  administrator(tenantId: string): Promise<{ readonly objectId: string }>
  /** A token of that application, as with its secret. */
  token(tenantId: string, audience: string): Promise<string>
}

export function openAdministration(records: RecordStore, entra: Entra): Administration {
  const administratorOf = async (tenantId: string): Promise<Principal> => {
    const { administrator } = entra
    const own = administrator.tenantId === tenantId ? await records.get(principals, administrator.objectId) : undefined
    if (own !== undefined) return own.value
    let first: Principal | undefined
    for await (const principal of allPrincipals(records)) {
      const isAdministrator = principal.tenantId === tenantId && principal.directoryAdministrator === true
      if (!isAdministrator || principal.kind !== 'application' || !principal.enabled) continue
      if (first === undefined || principal.createdAt < first.createdAt) first = principal
    }
    if (first !== undefined) return first
    throw new Error(`The tenant ${tenantId} has no application any more that administers it.`)
  }
  return {
    tenants: async () => (await allRecords(records, tenants)).map(({ value }) => value),
    administrator: administratorOf,
    token: async (tenantId, audience) => (await entra.tokens.issue(await administratorOf(tenantId), audience)).token,
  }
}
