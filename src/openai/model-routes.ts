import type { Deployments } from '../accounts/deployments.ts'
import { json } from '../http/respond.ts'
import type { DataRoute } from './data-plane.ts'
import { notFound } from './ids.ts'
import type { Models, NamedBase } from './models.ts'
import type { ModelRecord } from './records.ts'

export function modelRoutes(service: Models, deployments: Deployments): DataRoute[] {
  const at = { path: '/models/:model', action: 'models/read', maxBody: 0 } as const
  return [
    {
      ...at,
      path: '/models',
      method: 'GET',
      handler: async (_, account) => {
        const own = await service.list(account.accountId)
        return json({
          object: 'list',
          data: [...service.bases.map(showBase), ...own.map(model => showModel(service, model))],
        })
      },
    },
    {
      ...at,
      method: 'GET',
      handler: async (call, account) => {
        const name = String(call.params['model'])
        const base = service.bases.find(known => known.name.toLowerCase() === name.toLowerCase())
        if (base !== undefined) return json(showBase(base))
        const model = await service.find(account.accountId, name)
        if (model === undefined) throw notFound('model', name)
        return json(showModel(service, model))
      },
    },
    {
      ...at,
      method: 'DELETE',
      action: 'models/delete',
      handler: async (call, account) => {
        const name = String(call.params['model'])
        await service.delete(account, name, await deployments.list(account.accountId))
        return json({ id: name, object: 'model', deleted: true })
      },
    },
  ]
}

/** Azure's clients expect dates, but models are not withdrawn here. 2100-01-01, seconds since 1970. */
const NEVER = 4_102_444_800

/** An alias shows its base: `base_model`, `description` and `license` are not in Azure's API. */
function showBase({ name, base }: NamedBase): object {
  return {
    id: name,
    object: 'model',
    created: 0,
    created_at: 0,
    owned_by: 'ownkey',
    status: 'succeeded',
    capabilities: {
      fine_tune: base.fineTune,
      inference: true,
      completion: false,
      chat_completion: true,
      embeddings: false,
    },
    lifecycle_status: 'generally-available',
    deprecation: { fine_tune: NEVER, inference: NEVER },
    model: null,
    fine_tune: null,
    base_model: base.name,
    description: base.description,
    license: base.licence,
  }
}

/** `trained_from` is not in Azure's API. */
function showModel(service: Models, model: ModelRecord): object {
  const base = service.findBase(model.base)
  const isSame = base !== undefined && (model.baseSha256 === undefined || base.sha256 === model.baseSha256)
  return {
    id: model.name,
    object: 'model',
    created: model.createdAt,
    created_at: model.createdAt,
    owned_by: 'organization',
    status: 'succeeded',
    capabilities: {
      fine_tune: isSame && base.fineTune,
      inference: true,
      completion: false,
      chat_completion: true,
      embeddings: false,
    },
    lifecycle_status: 'generally-available',
    deprecation: { inference: NEVER },
    model: model.base,
    fine_tune: model.jobId,
    trained_from: model.trainedFrom ?? null,
  }
}
