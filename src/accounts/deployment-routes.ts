import { empty, json } from '../http/respond.ts'
import type { Call, Route } from '../http/route.ts'
import { enterAccount } from './account-routes.ts'
import type { Account } from './account.ts'
import { deploymentBody, type Deployment } from './deployment.ts'
import type { AccountServices } from './accounts.ts'
import type { Deployments } from './deployments.ts'

const BASE =
  '/subscriptions/:subscriptionid/resourcegroups/:group/providers/microsoft.cognitiveservices/accounts/:account/deployments'

export function deploymentRoutes(services: AccountServices, service: Deployments): Route[] {
  const enter = async (call: Call, action: string): Promise<Account> => {
    const { subscriptionId, group, name } = await enterAccount(services, call, `deployments/${action}`)
    return (await services.accounts.get(subscriptionId, group, name)).value
  }
  const at = { host: 'management', auth: 'management', path: `${BASE}/:deployment`, maxBody: 0 } as const
  return [
    {
      ...at,
      method: 'PUT',
      maxBody: 64 * 1024,
      handler: async call => {
        const account = await enter(call, 'write')
        const { deployment, created } = await service.put(
          account,
          String(call.params['deployment']),
          await call.json(deploymentBody),
        )
        return json(showDeployment(account, deployment), { status: created ? 201 : 200 })
      },
    },
    {
      ...at,
      method: 'GET',
      handler: async call => {
        const account = await enter(call, 'read')
        return json(
          showDeployment(account, (await service.get(account.accountId, String(call.params['deployment']))).value),
        )
      },
    },
    {
      ...at,
      method: 'DELETE',
      handler: async call => {
        const account = await enter(call, 'delete')
        const found = await service.find(account.accountId, String(call.params['deployment']))
        if (found === undefined) return empty(204)
        await service.delete(account, found)
        return empty(200)
      },
    },
    {
      ...at,
      path: BASE,
      method: 'GET',
      handler: async call => {
        const account = await enter(call, 'read')
        return json({
          value: (await service.list(account.accountId)).map(deployment => showDeployment(account, deployment)),
        })
      },
    },
  ]
}

function showDeployment(account: Account, deployment: Deployment): object {
  const { name, sku, model, onKeyUnavailable = 'serve', createdAt } = deployment
  return {
    id: `${account.id}/deployments/${name}`,
    type: 'Microsoft.CognitiveServices/accounts/deployments',
    name,
    sku,
    properties: {
      model,
      provisioningState: 'Succeeded',
      onKeyUnavailable,
      capabilities: { chatCompletion: 'true' },
      versionUpgradeOption: 'NoAutoUpgrade',
      createdAt,
    },
  }
}
