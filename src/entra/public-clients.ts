/** An application that runs where no secret can be kept. */
export interface PublicClient {
  readonly clientId: string
  readonly displayName: string
  /** May this client be sent back to here? Compared exactly, but for the port of a loopback address (RFC 8252 7.3). */
  allowsRedirect(uri: string): boolean
}

/** Entra's own id of the Azure CLI, which az and the SDKs' developer credentials use. */
const AZURE_CLI = '04b07795-8ddb-461a-bbee-02f9e1bf7b46'
/** The portal of this cloud. */
export const PORTAL_CLIENT = 'c44b4083-3bb0-49c1-b47d-974e53cbdf3c'

/** @param portal the portal's origin, for example `https://portal.localhost:8443` */
export function publicClients(portal: string): ReadonlyMap<string, PublicClient> {
  const clients: PublicClient[] = [
    { clientId: PORTAL_CLIENT, displayName: 'OwnKey portal', allowsRedirect: uri => uri === `${portal}/` },
    { clientId: AZURE_CLI, displayName: 'Azure CLI', allowsRedirect: isLoopback },
  ]
  return new Map(clients.map(client => [client.clientId, client]))
}

function isLoopback(uri: string): boolean {
  const url = URL.parse(uri)
  const hosts = ['localhost', '127.0.0.1', '[::1]']
  return url?.protocol === 'http:' && hosts.includes(url.hostname) && url.username === '' && url.hash === ''
}
