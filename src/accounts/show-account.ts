import { etagOf } from '../arm/etag.ts'
import type { Stored } from '../store/records.ts'
import { ACCOUNT_TYPE, type Account } from './account.ts'
import type { AccountServices } from './accounts.ts'
import { encryptionWarnings } from './encryption-warnings.ts'

const CAPABILITIES = [{ name: 'CustomerManagedKey' }, { name: 'VirtualNetworks' }]

/** As `showAccount`, with a fresh count. */
export async function shownAccount(services: AccountServices, stored: Stored<Account>): Promise<object> {
  await services.earlierBlobs.count(stored.value.accountId)
  return showAccount(services, stored)
}

export function showAccount(services: AccountServices, stored: Stored<Account>): object {
  const { id, name, location, kind, sku, tags, identity } = stored.value
  return {
    id,
    name,
    type: ACCOUNT_TYPE,
    etag: etagOf(stored),
    location,
    kind,
    sku,
    tags,
    identity: identity === undefined ? { type: 'None' } : { type: 'SystemAssigned', ...identity },
    properties: propertiesOf(services, stored.value),
  }
}

/** A soft-deleted account, under the id of its GET and purge. */
export function showDeletedAccount(services: AccountServices, { value }: Stored<Account>): object {
  const { name, location, kind, sku, tags, deleted } = value
  const { at = 0, purgeAt = 0 } = deleted ?? {}
  return {
    id: deletedAccountId(value),
    name,
    type: 'Microsoft.CognitiveServices/locations/resourceGroups/deletedAccounts',
    location,
    kind,
    sku,
    tags,
    properties: {
      ...propertiesOf(services, value),
      provisioningState: value.purging ? 'Deleting' : 'Succeeded',
      deletionDate: new Date(at).toISOString(),
      scheduledPurgeDate: new Date(purgeAt).toISOString(),
    },
  }
}

function deletedAccountId({ subscriptionId, location, group, name }: Account): string {
  return `/subscriptions/${subscriptionId}/providers/Microsoft.CognitiveServices/locations/${location}/resourceGroups/${group}/deletedAccounts/${name}`
}

/** `encryption` is always there, since otherwise tools that read before they write could not switch back to service-managed keys. */
function propertiesOf(services: AccountServices, account: Account): object {
  const { subdomain, accountId, createdAt, disableLocalAuth, networkAcls, publicNetworkAccess, encryption } = account
  const { keyStatuses, earlierBlobs, vaultDirectory, env } = services
  const endpoint = services.endpoint(subdomain)
  // An account under service-managed keys has no state of a customer's key, though a changed database may have one.
  const status = encryption.keyVaultProperties === undefined ? undefined : keyStatuses.of(accountId)
  const earlier = earlierBlobs.of(accountId)
  const warnings = encryptionWarnings(account, status, {
    isOwnVault: vaultUri => vaultDirectory.isOwn(vaultUri),
    now: env.now(),
  })
  return {
    provisioningState: 'Succeeded',
    endpoint,
    endpoints: { 'OpenAI Language Model Instance API': endpoint },
    customSubDomainName: subdomain,
    internalId: accountId,
    dateCreated: createdAt,
    capabilities: CAPABILITIES,
    isMigrated: false,
    disableLocalAuth,
    publicNetworkAccess: publicNetworkAccess ?? 'Enabled',
    ...(networkAcls === undefined ? {} : { networkAcls }),
    privateEndpointConnections: [],
    encryption: {
      ...encryption,
      status: {
        ...(status ?? { state: 'Active' }),
        // For an account under service-managed keys only where there are some.
        ...(earlier === undefined || (status === undefined && earlier === 0)
          ? {}
          : { earlierGenerationBlobs: earlier }),
      },
      ...(warnings.length === 0 ? {} : { warnings }),
    },
  }
}
