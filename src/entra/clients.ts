import type { RecordStore, Stored } from '../store/records.ts'
import { applicationNotFound, loginError } from './aadsts.ts'
import { applications, principals, principalsByApp } from './records.ts'
import type { Application, ClientKind, RedirectUris } from './records.ts'
import { kindOfRedirect } from './redirect-uris.ts'

/** An application that people sign in to, or that logs in by itself. */
export interface Client {
  readonly clientId: string
  readonly displayName: string
  /** Undefined: of every tenant. */
  readonly tenantId?: string
  readonly redirectUris: RedirectUris
  /** Whether it may log people in without a secret where no redirect URI is used: device code, password. */
  readonly isPublic: boolean
  /** Absent for the clients that every cloud has. */
  readonly application?: Stored<Application>
}

export interface Clients {
  /** @throws AADSTS700016 unknown, 7000112 disabled */
  find(clientId: string, tenantId: string | undefined): Promise<Client>
  /** Whether somebody who signed out may be redirected there. */
  mayReturnTo(uri: string): boolean
}

/** Entra's own id of the Azure CLI, which az and the SDKs' developer credentials use. */
const AZURE_CLI = '04b07795-8ddb-461a-bbee-02f9e1bf7b46'
/** The portal of this cloud. */
export const PORTAL_CLIENT = 'c44b4083-3bb0-49c1-b47d-974e53cbdf3c'

const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const nowhere: RedirectUris = { web: [], spa: [], publicClient: [] }

/** @param portal the portal's origin, for example `https://portal.localhost:8443` */
export function openClients(records: RecordStore, portal: string): Clients {
  const own: Client[] = [
    {
      clientId: PORTAL_CLIENT,
      displayName: 'OwnKey portal',
      redirectUris: { ...nowhere, spa: [`${portal}/`] },
      isPublic: false,
    },
    {
      clientId: AZURE_CLI,
      displayName: 'Azure CLI',
      redirectUris: { ...nowhere, publicClient: ['http://localhost', 'http://127.0.0.1', 'http://[::1]'] },
      isPublic: true,
    },
  ]
  return {
    async find(clientId, tenantId) {
      const id = clientId.toLowerCase()
      const known = own.find(client => client.clientId === id)
      if (known) return known
      const found = GUID.test(id) ? await records.get(applications, id) : undefined
      if (!found || (tenantId !== undefined && found.value.tenantId !== tenantId))
        throw applicationNotFound(clientId, tenantId ?? 'of this cloud')
      await checkEnabled(records, id)
      const { displayName, redirectUris = nowhere, isFallbackPublicClient = false } = found.value
      return {
        clientId: id,
        displayName,
        tenantId: found.value.tenantId,
        redirectUris,
        isPublic: isFallbackPublicClient,
        application: found,
      }
    },
    mayReturnTo: uri => own.some(client => kindOfRedirect(client.redirectUris, uri) !== undefined),
  }
}

/** An application whose service principal is disabled lets nobody in. @throws AADSTS7000112 */
async function checkEnabled(records: RecordStore, appId: string): Promise<void> {
  const known = await records.get(principalsByApp, appId)
  const principal = known && (await records.get(principals, known.value.objectId))
  if (principal === undefined || principal.value.enabled) return
  throw loginError('unauthorized_client', 7_000_112, `Application '${appId}' is disabled.`)
}

/** Clients that keep no secret: pages, and programs on people's own machines. */
export function needsNoSecret(client: Client, kind: ClientKind | undefined): boolean {
  return kind === undefined ? client.isPublic : kind !== 'web'
}
