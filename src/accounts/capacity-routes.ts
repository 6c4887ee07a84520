import { z } from 'zod'
import { AzureError } from '../http/errors.ts'
import { json } from '../http/respond.ts'
import type { Call, Route } from '../http/route.ts'
import { KINDS } from './create-account.ts'

/** Thousands of tokens a minute, as Azure counts. They are not measured here. */
export const MAX_CAPACITY = 10_000

const checkBody = z.object({
  skus: z.array(z.string().max(64)).min(1).max(50),
  kind: z.string().max(64),
  type: z.string().max(100),
})
/** Checks the subscription, the rights and the location of a call. */
type Enter = (call: Call, action: string) => Promise<string>

/** The available skus, and the locations of a model. */
export function capacityRoutes(
  provider: string,
  models: readonly { readonly name: string }[],
  locations: readonly string[],
  enter: Enter,
): Route[] {
  const base = { host: 'management', auth: 'management' } as const
  const capacities = (call: Call, where: readonly string[]): Response => {
    const wanted = wantedModel(call)
    const known = models.some(({ name }) => name === wanted.name) && wanted.version === '1'
    return json({ value: known ? where.map(location => showCapacity(wanted, location)) : [] })
  }
  return [
    {
      ...base,
      method: 'POST',
      maxBody: 16 * 1024,
      path: `${provider}/locations/:location/checkskuavailability`,
      handler: async call => {
        await enter(call, 'locations/checkSkuAvailability/action')
        return json({ value: skuAvailability(await call.json(checkBody)) })
      },
    },
    {
      ...base,
      method: 'GET',
      maxBody: 0,
      path: `${provider}/modelcapacities`,
      handler: async call => {
        await enter(call, 'modelCapacities/read')
        return capacities(call, locations)
      },
    },
    {
      ...base,
      method: 'GET',
      maxBody: 0,
      path: `${provider}/locations/:location/modelcapacities`,
      handler: async call => {
        await enter(call, 'locations/modelCapacities/read')
        return capacities(call, [(call.params['location'] ?? '').toLowerCase()])
      },
    },
  ]
}

interface WantedModel {
  readonly format: string
  readonly name: string
  readonly version: string
}

function wantedModel(call: Call): WantedModel {
  const of = (name: string): string => {
    const value = call.query.get(name.toLowerCase())
    if (value !== undefined && value !== '') return value
    throw new AzureError('MissingParameter', 400, `The query parameter '${name}' is missing.`, { target: name })
  }
  return { format: of('modelFormat'), name: of('modelName'), version: of('modelVersion') }
}

function showCapacity(model: WantedModel, location: string): object {
  const properties = { model, skuName: 'Standard', availableCapacity: MAX_CAPACITY, availableFinetuneCapacity: 0 }
  return { type: 'Microsoft.CognitiveServices/locations/modelCapacities', name: 'Standard', location, properties }
}

function skuAvailability({ skus, kind, type }: z.infer<typeof checkBody>): object[] {
  const isKind = KINDS.some(name => name.toLowerCase() === kind.toLowerCase())
  return skus.map(skuName => {
    const skuAvailable = isKind && skuName.toUpperCase() === 'S0'
    const why = isKind ? `There is the sku S0 only.` : `There are accounts of the kinds ${KINDS.join(', ')} only.`
    return { kind, type, skuName, skuAvailable, ...(skuAvailable ? {} : { reason: 'NotAvailable', message: why }) }
  })
}
