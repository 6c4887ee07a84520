import { json } from '../http/respond.ts'
import type { Route } from '../http/route.ts'
import { apiVersion } from './api-version.ts'

/** `GET /providers/<namespace>/operations`: actions that roles can allow there, such as `vaults/read`. For anybody who is signed in. */
export function providerOperationsRoute(namespace: string, provider: string, names: readonly string[]): Route {
  const value = names.map(name => {
    const [resource = '', ...operation] = name.split('/')
    const display = { provider, resource, operation: operation.join(' '), description: name }
    return { name: `${namespace}/${name}`, isDataAction: false, display }
  })
  return {
    host: 'management',
    auth: 'management',
    method: 'GET',
    path: `/providers/${namespace.toLowerCase()}/operations`,
    maxBody: 0,
    handler: call => {
      apiVersion(call)
      return json({ value })
    },
  }
}

const all = (of: string): string[] => ['read', 'write', 'delete'].map(verb => `${of}/${verb}`)

/** The operations of Resource Manager itself. */
export function ownOperationsRoutes(): Route[] {
  return [
    providerOperationsRoute('Microsoft.Resources', 'Azure Resource Manager', [
      'subscriptions/read',
      ...all('subscriptions/resourceGroups'),
      'subscriptions/resourceGroups/resources/read',
      'subscriptions/resourceGroups/moveResources/action',
      'subscriptions/resourceGroups/validateMoveResources/action',
      ...all('subscriptions/tagNames'),
      ...all('subscriptions/tagNames/tagValues'),
      ...all('tags'),
    ]),
    providerOperationsRoute('Microsoft.Authorization', 'Azure Authorization', [
      ...all('roleAssignments'),
      'roleDefinitions/read',
      'permissions/read',
    ]),
    providerOperationsRoute('Microsoft.Subscription', 'Azure Subscriptions', [
      ...all('aliases'),
      ...['rename', 'cancel', 'enable', 'changeTenant'].map(verb => `${verb}/action`),
    ]),
  ]
}
