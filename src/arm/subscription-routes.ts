import { json } from '../http/respond.ts'
import type { Call, Route } from '../http/route.ts'
import { apiVersion } from './api-version.ts'
import type { ArmOptions } from './arm-options.ts'
import { LOCATIONS } from './locations.ts'
import { page } from './paging.ts'
import { assignmentPrefix, roleAssignments, subscriptions } from './records.ts'
import type { Subscription } from './resource-manager.ts'
import { showSubscription } from './subscription-records.ts'
import { allRecords } from '../store/every-record.ts'

/** The routes that clients read first: endpoints, subscriptions, locations. */
export function subscriptionRoutes(options: ArmOptions): Route[] {
  const { resourceManager, endpoints } = options
  const base = { host: 'management', auth: 'management', maxBody: 0, method: 'GET' } as const
  const one = async (call: Call): Promise<Subscription> => {
    apiVersion(call)
    const subscription = await resourceManager.subscription(call.params['subscriptionid'] ?? '')
    const scope = `/subscriptions/${subscription.subscriptionId}`
    await resourceManager.authorize(call.caller, scope, 'Microsoft.Resources/subscriptions/read')
    return subscription
  }
  return [
    {
      ...base,
      auth: 'none',
      reason: 'clients read the endpoints before they can log in',
      path: '/metadata/endpoints',
      handler: call => {
        // az 2.45 and older tools don't send an api-version.
        const isAsked = (call.query.get('api-version') ?? '') !== ''
        return json(metadata(endpoints, isAsked ? apiVersion(call) : ''))
      },
    },
    { ...base, path: '/subscriptions', handler: call => listSubscriptions(options, call) },
    { ...base, path: '/subscriptions/:subscriptionid', handler: async call => json(showSubscription(await one(call))) },
    {
      ...base,
      path: '/subscriptions/:subscriptionid/locations',
      handler: async call => {
        const { subscriptionId } = await one(call)
        return json({ value: options.locations.map(name => showLocation(subscriptionId, name)) })
      },
    },
  ]
}

/** As Azure: lists those in which the caller has a role somewhere. */
async function listSubscriptions({ records }: ArmOptions, call: Call): Promise<Response> {
  apiVersion(call)
  const { caller } = call
  if (caller.type !== 'principal') return json({ value: [] })
  const holds = async (scope: string): Promise<boolean> => {
    const prefix = assignmentPrefix(scope, caller.tenantId)
    const found = await allRecords(records, roleAssignments, { prefix })
    return found.some(({ value }) => value.principalId === caller.objectId)
  }
  const inTenant = (await allRecords(records, subscriptions)).filter(({ value }) => value.tenantId === caller.tenantId)
  const everywhere = await holds('/')
  const visible = await Promise.all(inTenant.map(async ({ id }) => everywhere || holds(`/subscriptions/${id}`)))
  return page(
    call,
    inTenant.filter((_, index) => visible[index]),
    ({ value }) => showSubscription(value),
  )
}

/** Three forms: older az registers a cloud by the first one, today's az by the last; `ARM_CLOUD_METADATA_URL` takes the list in between. */
function metadata(endpoints: ArmOptions['endpoints'], version: string): object {
  if (version === '' || version < '2018') return oldMetadata(endpoints)
  return version < '2022' ? [cloudMetadata(endpoints)] : cloudMetadata(endpoints)
}

/** The form of api-version 2015-01-01, which `az cloud register` reads. */
function oldMetadata({ authority, resourceManager, portal, audiences }: ArmOptions['endpoints']): object {
  return {
    galleryEndpoint: resourceManager,
    graphEndpoint: authority,
    portalEndpoint: portal,
    authentication: { loginEndpoint: authority, audiences },
  }
}

/** What `az cloud register` needs to know of a cloud. */
function cloudMetadata({
  authority,
  resourceManager,
  portal,
  audiences,
  keyVaultSuffix,
}: ArmOptions['endpoints']): object {
  return {
    name: 'OwnKey',
    portal,
    resourceManager,
    graph: authority,
    graphAudience: authority,
    microsoftGraphResourceId: authority,
    authentication: { loginEndpoint: authority, audiences, tenant: 'common', identityProvider: 'AAD' },
    // As Azure: without a dot in front. az adds one, and azurerm makes the token's resource from it.
    suffixes: {
      keyVaultDns: keyVaultSuffix.replace(/^\./, ''),
      // There is no storage here, but azurerm does not start without a name for it.
      storage: keyVaultSuffix.replace(/^\.[^.]+/, 'storage'),
    },
  }
}

function showLocation(subscriptionId: string, name: string): object {
  const { displayName, geography, paired } = LOCATIONS[name] ?? {
    displayName: name,
    geography: 'Local',
    paired: undefined,
  }
  const at = `/subscriptions/${subscriptionId}/locations`
  return {
    id: `${at}/${name}`,
    name,
    type: 'Region',
    displayName,
    regionalDisplayName: `(${geography}) ${displayName}`,
    metadata: {
      regionType: 'Physical',
      regionCategory: 'Recommended',
      geography,
      geographyGroup: geography,
      pairedRegion: paired === undefined ? [] : [{ name: paired, id: `${at}/${paired}` }],
    },
  }
}
