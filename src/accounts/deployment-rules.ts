import { AzureError } from '../http/errors.ts'
import type { Account } from './account.ts'
import type { Deployment, DeploymentBody } from './deployment.ts'

/** Azure's deployment types; here they are all the same. `Manual` is a scale type of az 2.45. */
const SKUS: ReadonlySet<string> = new Set(
  (
    'standard globalstandard datazonestandard developertier provisionedmanaged globalprovisionedmanaged ' +
    'datazoneprovisionedmanaged manual'
  ).split(' '),
)

export function skuOf(body: DeploymentBody): Deployment['sku'] {
  const name = body.sku?.name ?? body.properties.scaleSettings?.scaleType ?? 'Standard'
  return { name, capacity: body.sku?.capacity ?? body.properties.scaleSettings?.capacity ?? 1 }
}

export function isDeploymentName(name: string): boolean {
  return /^[a-zA-Z0-9]([a-zA-Z0-9_.-]{0,62}[a-zA-Z0-9])?$/.test(name)
}

/** @throws 400 InvalidResourceName */
export function checkDeploymentName(name: string): void {
  if (isDeploymentName(name)) return
  throw new AzureError(
    'InvalidResourceName',
    400,
    `The deployment name '${name.slice(0, 80)}' is invalid: 1 to 64 letters, digits, '_', '.' and '-', beginning and ending with a letter or digit.`,
  )
}

/** R27: a model of another account is not deployable here. */
export function checkSource(account: Account, body: DeploymentBody): void {
  const source = body.properties.model.source ?? body.properties.model.sourceAccount
  if (source == null || source === '' || source.toLowerCase() === account.id.toLowerCase()) return
  throw new AzureError(
    'CrossAccountDeploymentNotSupported',
    400,
    'A model can be deployed in its own account only: leave model.source empty.',
    { target: 'properties.model.source' },
  )
}

/** @throws 400 DeploymentModelNotSupported, InvalidResourceProperties for an unknown sku */
export function checkDeploymentModel(body: DeploymentBody): void {
  const { format, name, version } = body.properties.model
  if ((format ?? 'OpenAI').toLowerCase() !== 'openai') throw modelNotSupported(body, 'format')
  const sku = skuOf(body)
  if (SKUS.has(sku.name.toLowerCase())) return
  throw new AzureError(
    'InvalidResourceProperties',
    400,
    `The specified SKU '${sku.name.slice(0, 64)}' of account deployment is not supported by the model '${name}' version: '${version ?? '1'}'. Use Standard.`,
    { target: 'sku.name' },
  )
}

/** Azure's message, and where to look. */
export function modelNotSupported(body: DeploymentBody, field: 'format' | 'name'): AzureError {
  const { format, name, version } = body.properties.model
  return new AzureError(
    'DeploymentModelNotSupported',
    400,
    `The model 'Format: ${format ?? 'OpenAI'}, Name: ${name}, Version: ${version ?? '1'}' of account deployment is not supported. GET /openai/models lists the models of this account.`,
    { target: `properties.model.${field}` },
  )
}
