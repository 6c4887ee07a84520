import { CognitiveServicesManagementClient } from '@azure/arm-cognitiveservices'
import { KeyVaultManagementClient } from '@azure/arm-keyvault'
import { ClientSecretCredential } from '@azure/identity'
import { KeyClient } from '@azure/keyvault-keys'
import type { Endpoints } from '../../src/base/endpoints.ts'

/** Microsoft's own clients, unmodified, pointed at a cloud as at any sovereign one. */
export function officialClients(endpoints: Endpoints) {
  const { administrator, authority, tenantId, subscriptionId, resourceManager, keyVaultSuffix } = endpoints
  const credential = new ClientSecretCredential(tenantId, administrator.clientId, administrator.clientSecret, {
    authorityHost: authority,
    disableInstanceDiscovery: true,
  })
  const management = { endpoint: resourceManager, credentialScopes: `${resourceManager}/.default` }
  return {
    credential,
    cognitive: new CognitiveServicesManagementClient(credential, subscriptionId, management),
    keyVaults: new KeyVaultManagementClient(credential, subscriptionId, management),
    keysOf: (vault: string) =>
      new KeyClient(`https://${vault}${keyVaultSuffix}/`, credential, { disableChallengeResourceVerification: true }),
  }
}
