import { keyIdentifierFrom, vaultNameOf } from '../encryption/key-identifier.ts'
import { AzureError, type ErrorDetail } from '../http/errors.ts'
import type { AccountBody } from './account-body.ts'

/** R11, R15: why an account can't be created with a customer-managed key in one PUT, and the three steps that do it. */
export function keyBeforeIdentity(
  at: { readonly group: string; readonly name: string; readonly location: string },
  { properties }: AccountBody,
): AzureError {
  const account = `--name ${at.name} --resource-group ${at.group}`
  const given = properties?.encryption?.keyVaultProperties
  const key = given == null ? undefined : keyIdentifierFrom({ ...given, keyVersion: given.keyVersion ?? undefined })
  const keyVaultProperties = {
    keyVaultUri: `${key?.vaultUri ?? 'https://<vault>'}/`,
    keyName: key?.name ?? '<key>',
    keyVersion: key?.version ?? '',
  }
  const encryption = JSON.stringify({ keySource: 'Microsoft.KeyVault', keyVaultProperties })
  const vault = key === undefined ? '<vault>' : vaultNameOf(key.vaultUri)
  const principal = `"$(az cognitiveservices account identity show ${account} --query principalId --output tsv)"`
  const steps: [string, string][] = [
    [
      'Create the account with a system-assigned identity.',
      `az cognitiveservices account create ${account} --location ${at.location} --kind OpenAI --sku S0 --custom-domain ${properties?.customSubDomainName ?? at.name} --assign-identity`,
    ],
    [
      'Give its principal the key permissions get, wrapKey and unwrapKey.',
      `az keyvault set-policy --name ${vault} --object-id ${principal} --key-permissions get wrapKey unwrapKey`,
    ],
    ['Set the key.', `az cognitiveservices account update ${account} --encryption '${encryption}'`],
  ]
  return new AzureError(
    'CustomerManagedKeyBeforeIdentity',
    400,
    "An account can't be created with a customer-managed key: its system-assigned identity doesn't exist yet, so no vault can have granted it anything. " +
      'Create the account with identity.type SystemAssigned, give its principal get, wrapKey and unwrapKey in the vault, then set properties.encryption with PATCH. Nothing was created.',
    { target: 'properties.encryption', details: steps.map(step) },
  )
}

function step([what, command]: readonly [string, string], index: number): ErrorDetail {
  const info = { step: index + 1, command }
  return { code: `Step${index + 1}`, message: `${what} Run: ${command}`, additionalInfo: [{ type: 'Step', info }] }
}
