import { z } from 'zod'
import { apiVersion } from '../arm/api-version.ts'
import { providerOperationsRoute } from '../arm/provider-operations.ts'
import { checkLocation } from '../arm/locations.ts'
import { json } from '../http/respond.ts'
import type { Call, Route } from '../http/route.ts'
import type { RecordStore } from '../store/records.ts'
import { ACCOUNT_TYPE, accountNames, subdomains } from './account.ts'
import { storedAccount } from './account-routes.ts'
import type { AccountServices } from './accounts.ts'
import { capacityRoutes, MAX_CAPACITY } from './capacity-routes.ts'
import { KINDS, MAX_ACCOUNTS } from './create-account.ts'
import { MAX_DEPLOYMENTS } from './deployments.ts'
import { deployments } from './deployment.ts'

/** A base model under one of its names. */
export interface BaseName {
  readonly name: string
  readonly base: { readonly fineTune: boolean; readonly description: string; readonly contextLength: number }
}

const PROVIDER = '/providers/microsoft.cognitiveservices'
const SUBSCRIPTION = `/subscriptions/:subscriptionid${PROVIDER}`
const ACCOUNT = `/subscriptions/:subscriptionid/resourcegroups/:group${PROVIDER}/accounts/:account`

const checkBody = z.object({
  subdomainName: z.string().regex(/^[\w.-]{1,100}$/, 'must have 1 to 100 letters, digits, dots, - or _'),
  type: z.string().max(100),
  kind: z.string().max(64).nullish(),
})

const BASE = { host: 'management', auth: 'management', method: 'GET', maxBody: 0 } as const

/** What is available: models, skus, usages, free subdomains. */
export function accountInformationRoutes(services: AccountServices, bases: readonly BaseName[]): Route[] {
  return [
    ...ofAccount(services, bases),
    ...ofSubscription(services, bases),
    providerOperationsRoute('Microsoft.CognitiveServices', 'Azure AI services', OPERATIONS),
  ]
}

function ofAccount(services: AccountServices, bases: readonly BaseName[]): Route[] {
  const { records } = services
  const own = (what: string, answer: (accountId: string) => Promise<object[]> | object[]): Route => ({
    ...BASE,
    path: `${ACCOUNT}/${what}`,
    handler: async call => json({ value: await answer((await storedAccount(services, call, `${what}/read`)).id) }),
  })
  return [
    own('models', () => bases.map(showModel)),
    own('skus', () => [{ resourceType: ACCOUNT_TYPE, sku: { name: 'S0', tier: 'Standard' } }]),
    own('usages', async accountId => [
      usage('OpenAI.Deployments', 'Deployments', await records.count(deployments, `${accountId}/`), MAX_DEPLOYMENTS),
    ]),
  ]
}

function ofSubscription(services: AccountServices, bases: readonly BaseName[]): Route[] {
  const { resourceManager, records, locations } = services
  const enter = async (call: Call, action: string): Promise<string> => {
    apiVersion(call)
    const { subscriptionId } = await resourceManager.subscription(call.params['subscriptionid'] ?? '')
    await resourceManager.authorize(
      call.caller,
      `/subscriptions/${subscriptionId}`,
      `Microsoft.CognitiveServices/${action}`,
    )
    if (call.params['location'] !== undefined) checkLocation(call.params['location'], locations)
    return subscriptionId
  }
  const usages = async (subscriptionId: string): Promise<object[]> => [
    usage('AccountCount', 'Accounts', await records.count(accountNames, `${subscriptionId}/`), MAX_ACCOUNTS),
  ]
  return [
    {
      ...BASE,
      path: `${SUBSCRIPTION}/locations/:location/models`,
      handler: async call => {
        await enter(call, 'locations/models/read')
        return json({
          value: bases.map(known => ({
            model: showModel(known),
            kind: 'OpenAI',
            skuName: 'S0',
            description: known.base.description,
          })),
        })
      },
    },
    {
      ...BASE,
      path: `${SUBSCRIPTION}/locations/:location/usages`,
      handler: async call => json({ value: await usages(await enter(call, 'locations/usages/read')) }),
    },
    {
      ...BASE,
      path: `${SUBSCRIPTION}/skus`,
      handler: async call => {
        await enter(call, 'skus/read')
        return json({
          value: KINDS.map(kind => ({
            resourceType: 'accounts',
            name: 'S0',
            tier: 'Standard',
            kind,
            locations,
            restrictions: [],
          })),
        })
      },
    },
    domainRoute(records, enter),
    ...capacityRoutes(SUBSCRIPTION, bases, locations, enter),
  ]
}

function domainRoute(records: RecordStore, enter: (call: Call, action: string) => Promise<string>): Route {
  return {
    ...BASE,
    method: 'POST',
    maxBody: 4096,
    path: `${SUBSCRIPTION}/checkdomainavailability`,
    handler: async call => {
      await enter(call, 'checkDomainAvailability/action')
      const { subdomainName, type } = await call.json(checkBody)
      const taken = (await records.get(subdomains, subdomainName.toLowerCase())) !== undefined
      const reason = taken
        ? { reason: `Sub domain name '${subdomainName}' is already used. Please pick a different name.` }
        : {}
      return json({ isSubdomainAvailable: !taken, subdomainName, type, ...reason })
    },
  }
}

/** Actions that roles can allow here, as the provider lists them. */
const OPERATIONS = [
  'accounts/read',
  'accounts/write',
  'accounts/delete',
  'accounts/listKeys/action',
  'accounts/regenerateKey/action',
  'accounts/deployments/read',
  'accounts/deployments/write',
  'accounts/deployments/delete',
  'accounts/models/read',
  'accounts/skus/read',
  'accounts/usages/read',
  'deletedAccounts/read',
  'locations/resourceGroups/deletedAccounts/delete',
]

function showModel({ name, base }: BaseName): object {
  const sku = {
    name: 'Standard',
    usageName: `OpenAI.Standard.${name}`,
    capacity: { minimum: 1, maximum: MAX_CAPACITY, step: 1, default: 1 },
  }
  return {
    format: 'OpenAI',
    name,
    version: '1',
    isDefaultVersion: true,
    skus: [sku],
    maxCapacity: MAX_CAPACITY,
    capabilities: {
      chatCompletion: 'true',
      fineTune: String(base.fineTune),
      inference: 'true',
      maxContextToken: String(base.contextLength),
    },
    ...(base.fineTune ? { finetuneCapabilities: { supervised: 'true' } } : {}),
    lifecycleStatus: 'GenerallyAvailable',
  }
}

function usage(value: string, localizedValue: string, currentValue: number, limit: number): object {
  return { name: { value, localizedValue }, unit: 'Count', currentValue, limit, status: 'Included' }
}
