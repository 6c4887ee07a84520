import { z } from 'zod'
import { AzureError, Conflict, type ErrorDetail } from '../http/errors.ts'
import type { Call, Route } from '../http/route.ts'
import type { Change } from '../store/records.ts'
import { apiVersion } from './api-version.ts'
import { armAudit } from './arm-audit.ts'
import type { ArmOptions } from './arm-options.ts'
import { changedMeanwhile } from '../store/conflicts.ts'
import { scopeKey } from './resource-id.ts'
import type { GenericResource, Place, ResourceGroup, ResourceType } from './resource-manager.ts'
import { findResource } from './resources.ts'
import { trimBoth } from '../base/trim.ts'

const moveBody = z.object({
  resources: z.array(z.string().min(1).max(1000)).min(1).max(800),
  targetResourceGroup: z.string().min(1).max(500),
})

interface Move {
  readonly source: ResourceGroup
  readonly target: Place & { readonly id: string; readonly held: Change }
  readonly moving: readonly { readonly type: ResourceType; readonly resource: GenericResource }[]
}

/** Moves all of the resources or none to another group, which may be of another subscription of the same tenant. */
export function moveRoutes(options: ArmOptions): Route[] {
  const at = '/subscriptions/:subscriptionid/resourcegroups/:group'
  const base = { host: 'management', auth: 'management', method: 'POST', maxBody: 1024 * 1024 } as const
  return [
    {
      ...base,
      path: `${at}/moveresources`,
      handler: call => start(options, call, 'moveResources', move => carryOut(options, call, move)),
    },
    {
      ...base,
      path: `${at}/validatemoveresources`,
      handler: call =>
        start(options, call, 'validateMoveResources', async move => void (await changesOf(options, move)), 204),
    },
  ]
}

async function start(
  options: ArmOptions,
  call: Call,
  verb: string,
  work: (move: Move) => Promise<void>,
  endStatus = 200,
): Promise<Response> {
  apiVersion(call)
  const { resourceManager, operations } = options
  const { subscriptionid = '', group = '' } = call.params
  const { subscriptionId } = await resourceManager.subscription(subscriptionid)
  const scope = `/subscriptions/${subscriptionId}/resourceGroups/${group}`
  await resourceManager.authorize(call.caller, scope, `Microsoft.Resources/subscriptions/resourceGroups/${verb}/action`)
  const { group: source } = await resourceManager.groupForNew(subscriptionId, group)
  const body = await call.json(moveBody)
  const target = await targetOf(options, call, source, body.targetResourceGroup)
  const what = { subscriptionId, resourceId: source.id, endStatus }
  return operations.start(call, what, {
    run: async () => work({ source, target, moving: await movingOf(options, source, body.resources) }),
  })
}

async function targetOf(
  { resourceManager }: ArmOptions,
  call: Call,
  source: ResourceGroup,
  given: string,
): Promise<Move['target']> {
  const match = /^\/?subscriptions\/([^/]+)\/resourcegroups\/([^/]+)\/?$/i.exec(given)
  if (match === null) {
    throw new AzureError(
      'InvalidTargetResourceGroup',
      400,
      'targetResourceGroup must be the id of a resource group: /subscriptions/<id>/resourceGroups/<name>.',
      { target: 'targetResourceGroup' },
    )
  }
  const [, givenSubscription = '', givenGroup = ''] = match
  const { subscriptionId } = await resourceManager.subscription(givenSubscription)
  const id = `/subscriptions/${subscriptionId}/resourceGroups/${givenGroup}`
  await resourceManager.authorize(call.caller, id, 'Microsoft.Resources/subscriptions/resourceGroups/write')
  const { group, held } = await resourceManager.groupForNew(subscriptionId, givenGroup)
  if (scopeKey(group.id) === scopeKey(source.id)) {
    throw new AzureError('ResourceMoveFailed', 400, 'Source and target resource group are the same.', {
      target: 'targetResourceGroup',
    })
  }
  return { subscriptionId, group: group.name, id: group.id, held }
}

async function movingOf(
  { resourceTypes }: ArmOptions,
  source: ResourceGroup,
  ids: readonly string[],
): Promise<Move['moving']> {
  const own = `${scopeKey(source.id)}/`
  const foreign = ids.find(id => !scopeKey(id).startsWith(own))
  if (foreign !== undefined) {
    throw new AzureError(
      'ResourceNotInSourceGroup',
      400,
      `The resource '${foreign.slice(0, 500)}' is not in the group '${source.name}': all must come from one group.`,
    )
  }
  const unique = [...new Map(ids.map(id => [scopeKey(id), id])).values()]
  return Promise.all(unique.map(id => findResource(resourceTypes, `/${trimBoth(id, '/')}`)))
}

/** @throws 409 ResourceMoveProviderValidationFailed that names every resource that can't be moved */
async function changesOf(_: ArmOptions, { moving, target }: Move): Promise<Change[]> {
  const settled = await Promise.allSettled(moving.map(({ type, resource }) => type.move(resource, target)))
  const details = settled.flatMap((result, index): ErrorDetail[] => {
    if (result.status === 'fulfilled') return []
    if (!(result.reason instanceof AzureError)) throw result.reason
    return [{ code: result.reason.code, message: result.reason.message, target: moving[index]?.resource.id ?? '' }]
  })
  if (details.length === 0) return settled.flatMap(result => (result.status === 'fulfilled' ? result.value : []))
  throw new Conflict(
    'ResourceMoveProviderValidationFailed',
    `Resource move validation failed. ${details.map(({ message }) => message).join(' ')}`,
    { details },
  )
}

async function carryOut(options: ArmOptions, call: Call, move: Move): Promise<void> {
  const startedBy = call.caller.type === 'principal' ? call.caller.objectId : ''
  const properties = { startedBy, to: move.target.id, resources: move.moving.map(({ resource }) => resource.id) }
  const entry = armAudit(
    'Microsoft.Resources/subscriptions/resourceGroups/moveResources/action',
    move.source.id,
    properties,
  )
  // The target may have been deleted since the request.
  const changes = [move.target.held, ...(await changesOf(options, move))]
  await options.audit.append(entry, changes).catch(changedMeanwhile('What is moved'))
}
