import type { TenantChangeFinding } from '../arm/resource-manager.ts'
import { vaultNameOf } from '../encryption/key-identifier.ts'
import type { Account } from './account.ts'
import type { AccountServices } from './accounts.ts'
import { deployments, type Deployment } from './deployment.ts'
import { allRecords } from '../store/every-record.ts'

/** R32: what a move to another tenant breaks in a subscription's accounts, also in soft-deleted ones, since they may come back. */
export async function accountsBeforeTenantChange(
  services: AccountServices,
  subscriptionId: string,
): Promise<TenantChangeFinding[]> {
  const found = [
    ...(await services.accounts.list(subscriptionId)),
    ...(await services.accounts.list(subscriptionId, undefined, 'deleted')),
  ]
  const findings = found.map(async ({ value }) => {
    const own = await allRecords(services.records, deployments, { prefix: `${value.accountId}/` })
    return ofAccount(
      value,
      own.map(({ value: deployment }) => deployment),
    )
  })
  return (await Promise.all(findings)).flat()
}

function ofAccount(account: Account, own: readonly Deployment[]): TenantChangeFinding[] {
  const { id, identity, encryption, name, group } = account
  const vaultUri = encryption.keyVaultProperties?.keyVaultUri
  const anew = `Turn the system-assigned identity off and on again (az cognitiveservices account identity remove, then assign, --name ${name} --resource-group ${group})`
  const findings: TenantChangeFinding[] = []
  if (identity !== undefined) {
    const message = `The system-assigned identity ${identity.principalId} stays behind in the tenant ${identity.tenantId}.`
    findings.push({ code: 'IdentityLeftBehind', target: id, message, remedy: `${anew}.` })
  }
  if (vaultUri === undefined) return findings
  const vault = vaultNameOf(vaultUri)
  findings.push({
    code: 'CustomerManagedKeyStops',
    target: id,
    message: `The key in ${vaultUri} can't be used from the move on: nothing of the account can be read, trained on or deployed, and running jobs pause.`,
    remedy: `Before the move, switch to service-managed keys; or after it: ${anew}, set the vault's tenantId to the new tenant, and give the new principal access (az keyvault set-policy --name ${vault} --object-id <principal> --key-permissions get wrapKey unwrapKey).`,
  })
  for (const deployment of own) findings.push(ofDeployment(account, deployment))
  return findings
}

function ofDeployment({ id }: Account, { name, onKeyUnavailable }: Deployment): TenantChangeFinding {
  const target = `${id}/deployments/${name}`
  if (onKeyUnavailable === 'stop')
    return {
      code: 'DeploymentStops',
      target,
      message: `The deployment '${name}' stops with the key (onKeyUnavailable: stop).`,
      remedy: 'It serves again once the key can be used.',
    }
  return {
    code: 'DeploymentKeepsServing',
    target,
    message: `The deployment '${name}' keeps serving although the key can't be used (R25).`,
    remedy: 'Delete it, or deploy it with onKeyUnavailable: stop, if it is to stop with the key.',
  }
}
