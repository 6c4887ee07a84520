import { NotFound } from '../http/errors.ts'
import { parseResourceId } from './resource-id.ts'
import type { GenericResource, ResourceType } from './resource-manager.ts'

export async function allResources(
  types: readonly ResourceType[],
  subscriptionId: string,
  group?: string,
): Promise<GenericResource[]> {
  return (await Promise.all(types.map(type => type.list(subscriptionId, group)))).flat()
}

/** A top-level resource by its id, in any letter case. @throws 404 ResourceNotFound */
export async function findResource(
  types: readonly ResourceType[],
  id: string,
): Promise<{ type: ResourceType; resource: GenericResource }> {
  const parsed = parseResourceId(id)
  const type = types.find(known => known.type.toLowerCase() === parsed?.type.toLowerCase())
  const listed =
    parsed === undefined ? [] : ((await type?.list(parsed.subscriptionId.toLowerCase(), parsed.group)) ?? [])
  const resource = listed.find(known => known.id.toLowerCase() === id.toLowerCase())
  if (type !== undefined && resource !== undefined) return { type, resource }
  throw new NotFound('ResourceNotFound', `The Resource '${id.slice(0, 500)}' was not found.`)
}
