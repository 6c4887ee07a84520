import { z } from 'zod'
import { NotFound } from '../http/errors.ts'
import { json } from '../http/respond.ts'
import type { Call, Route } from '../http/route.ts'
import { apiVersion } from './api-version.ts'
import { armAudit } from './arm-audit.ts'
import type { ArmOptions } from './arm-options.ts'
import { tenantOwner } from './first-subscription.ts'

const tenantBody = z.object({ properties: z.object({ displayName: z.string().min(1).max(256) }) })

/** The caller's tenant, and creating others. The latter is not in Azure's API, only in its portal. */
export function tenantRoutes(options: ArmOptions): Route[] {
  const base = { host: 'management', auth: 'management', maxBody: 0 } as const
  return [
    {
      ...base,
      method: 'GET',
      path: '/tenants',
      handler: async call => {
        apiVersion(call)
        const tenantId = call.caller.type === 'principal' ? call.caller.tenantId : ''
        const tenant = await options.directory.tenant(tenantId)
        return json({ value: tenant === undefined ? [] : [showTenant(tenant)] })
      },
    },
    {
      ...base,
      auth: 'administrator',
      method: 'POST',
      path: '/providers/ownkey.directory/tenants',
      maxBody: 4096,
      handler: call => createTenant(options, call),
    },
    {
      ...base,
      auth: 'administrator',
      method: 'POST',
      path: '/providers/ownkey.directory/tenants/:tenant/applications',
      maxBody: 4096,
      handler: call => createApplication(options, call),
    },
  ]
}

/** A tenant with an application that administers it; its secret is shown this once. */
async function createTenant({ directory, audit, env }: ArmOptions, call: Call): Promise<Response> {
  apiVersion(call)
  const { displayName } = (await call.json(tenantBody)).properties
  let administrator: Awaited<ReturnType<typeof directory.createApplication>> | undefined
  const tenantId = await directory.createTenant(displayName, async (tenantId, tenant) => {
    administrator = await directory.createApplication({
      tenantId,
      displayName: `${displayName} administrator`,
      ofNewTenant: true,
      commit: ({ objectId }, application) =>
        audit.append(
          armAudit('OwnKey.Directory/tenants/write', `/tenants/${tenantId}`, { displayName, administrator: objectId }),
          [...tenant, ...application, tenantOwner(env, tenantId, objectId)],
        ),
    })
  })
  if (administrator === undefined) throw new Error('A tenant was made without its administrator.')
  const { clientId, objectId, clientSecret } = administrator
  const id = `/tenants/${tenantId}`
  const properties = { tenantId, displayName, administrator: { clientId, objectId, clientSecret } }
  return json({ id, name: tenantId, type: 'OwnKey.Directory/tenants', properties }, { status: 201 })
}

/** An application with a service principal that has no role yet; its secret is shown this once. */
async function createApplication({ directory, audit }: ArmOptions, call: Call): Promise<Response> {
  apiVersion(call)
  const { tenant = '' } = call.params
  const found = tenant.length === 36 ? await directory.tenant(tenant.toLowerCase()) : undefined
  if (found === undefined) throw new NotFound('TenantNotFound', `There is no tenant '${tenant.slice(0, 64)}'.`)
  const { tenantId } = found
  const { displayName } = (await call.json(tenantBody)).properties
  const idOf = (clientId: string): string => `/tenants/${tenantId}/applications/${clientId}`
  const { clientId, objectId, clientSecret } = await directory.createApplication({
    tenantId,
    displayName,
    commit: ({ clientId, objectId }, changes) => {
      const record = { displayName, objectId }
      return audit.append(armAudit('OwnKey.Directory/tenants/applications/write', idOf(clientId), record), changes)
    },
  })
  const id = idOf(clientId)
  const properties = { tenantId, displayName, clientId, objectId, clientSecret }
  return json({ id, name: clientId, type: 'OwnKey.Directory/tenants/applications', properties }, { status: 201 })
}

function showTenant({ tenantId, displayName }: { tenantId: string; displayName: string }): object {
  return {
    id: `/tenants/${tenantId}`,
    tenantId,
    displayName,
    tenantCategory: 'Home',
    tenantType: 'AAD',
    countryCode: '',
    domains: [],
  }
}
