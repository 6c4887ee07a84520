import { z } from 'zod'
import { AzureError } from '../http/errors.ts'
import { empty, json } from '../http/respond.ts'
import type { Call, Route } from '../http/route.ts'
import { put, type Change } from '../store/records.ts'
import { apiVersion } from './api-version.ts'
import { armAudit } from './arm-audit.ts'
import type { ArmOptions } from './arm-options.ts'
import { changedMeanwhile } from '../store/conflicts.ts'
import { groupKey, groups, subscriptions } from './records.ts'
import { findResource } from './resources.ts'
import type { Tags } from './resource-manager.ts'
import { findScope, scopeOf, type Scope } from './scope.ts'
import { patchedTags, tagsBody, tagsPatchBody } from './tags.ts'

const PATH = '/:scope*/providers/microsoft.resources/tags/default'
const putBody = z.object({ properties: z.object({ tags: tagsBody }) })

interface Tagged {
  readonly scope: Scope
  readonly tags: Tags
  readonly change: (tags: Tags) => Promise<readonly Change[]>
}

/** Microsoft.Resources/tags of a subscription, group or resource, and the names in use. */
export function tagRoutes(options: ArmOptions): Route[] {
  const base = { host: 'management', auth: 'management', maxBody: 0, path: PATH } as const
  const enter = async (call: Call, action: string): Promise<Tagged> => {
    apiVersion(call)
    const scope = scopeOf(call)
    await options.resourceManager.authorize(call.caller, scope, `Microsoft.Resources/tags/${action}`)
    return tagged(options, await findScope(options, scope))
  }
  const set = async ({ scope, change }: Tagged, tags: Tags): Promise<object> => {
    tagsBody.parse(tags)
    await options.audit
      .append(armAudit('Microsoft.Resources/tags/write', scope.id, { tags }), await change(tags))
      .catch(changedMeanwhile('The resource'))
    return showTags(scope, tags)
  }
  return [
    {
      ...base,
      method: 'GET',
      handler: async call => {
        const { scope, tags } = await enter(call, 'read')
        return json(showTags(scope, tags))
      },
    },
    {
      ...base,
      method: 'PUT',
      maxBody: 64 * 1024,
      handler: async call => {
        const found = await enter(call, 'write')
        return json(await set(found, (await call.json(putBody)).properties.tags))
      },
    },
    {
      ...base,
      method: 'PATCH',
      maxBody: 64 * 1024,
      handler: async call => {
        const found = await enter(call, 'write')
        const tags = patchedTags(found.tags, await call.json(tagsPatchBody))
        if (Object.keys(tags).length > 50) throw new AzureError('TooManyTags', 400, 'A resource has at most 50 tags.')
        return json(await set(found, tags))
      },
    },
    {
      ...base,
      method: 'DELETE',
      handler: async call => {
        await set(await enter(call, 'delete'), {})
        return empty(200)
      },
    },
  ]
}

async function tagged(options: ArmOptions, scope: Scope): Promise<Tagged> {
  const { records, resourceTypes } = options
  const { subscriptionId = '', group = '' } = scope
  if (scope.type === 'subscription') {
    const stored = await records.get(subscriptions, subscriptionId)
    return {
      scope,
      tags: stored?.value.tags ?? {},
      change: async tags =>
        stored === undefined ? [] : [put(subscriptions, subscriptionId, { ...stored.value, tags }, stored.version)],
    }
  }
  if (scope.type === 'group') {
    const key = groupKey(subscriptionId, group)
    const stored = await records.get(groups, key)
    return {
      scope,
      tags: stored?.value.tags ?? {},
      change: async tags => (stored === undefined ? [] : [put(groups, key, { ...stored.value, tags }, stored.version)]),
    }
  }
  const { type, resource } = await findResource(resourceTypes, scope.id)
  return { scope, tags: resource.tags ?? {}, change: tags => type.setTags(resource, tags) }
}

function showTags({ id }: Scope, tags: Tags): object {
  return {
    id: `${id}/providers/Microsoft.Resources/tags/default`,
    name: 'default',
    type: 'Microsoft.Resources/tags',
    properties: { tags },
  }
}
