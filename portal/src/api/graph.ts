import { config } from './config.ts'
import { call } from './http.ts'

export interface Principal {
  readonly id: string
  readonly displayName: string
  /** The application id of applications and managed identities. */
  readonly appId?: string | undefined
  /** What kind of object this is, for people. */
  readonly kind: string
}

interface DirectoryObject {
  readonly id: string
  readonly displayName: string
  readonly appId?: string
  readonly servicePrincipalType?: string
  readonly userPrincipalName?: string
}

async function all(): Promise<DirectoryObject[]> {
  const list = (path: string): Promise<{ value: DirectoryObject[] }> =>
    call(`${config().graph}/v1.0/${path}?$top=999`, { scope: 'graph' })
  const [applications, people] = await Promise.all([list('servicePrincipals'), list('users')])
  return [...applications.value, ...people.value]
}

/** Those whose name, object id or application id holds the text. */
export async function searchPrincipals(text: string): Promise<Principal[]> {
  const wanted = text.trim().toLowerCase()
  const found = (await all()).filter(({ id, displayName, appId = '', userPrincipalName = '' }) =>
    [id, displayName, appId, userPrincipalName].some(value => value.toLowerCase().includes(wanted)),
  )
  return found.map(({ id, displayName, appId, servicePrincipalType, userPrincipalName }) => ({
    id,
    appId,
    displayName: userPrincipalName ?? displayName,
    kind:
      servicePrincipalType === 'ManagedIdentity'
        ? 'managed identity'
        : userPrincipalName === undefined
          ? 'application'
          : 'user',
  }))
}

/** Names by object id, and of applications by application id too. Deleted principals are left out. */
export async function namesOfPrincipals(): Promise<ReadonlyMap<string, string>> {
  return new Map(
    (await all()).flatMap(({ id, appId, displayName }): [string, string][] =>
      appId === undefined
        ? [[id, displayName]]
        : [
            [id, displayName],
            [appId, displayName],
          ],
    ),
  )
}
