import { AzureError, NotFound } from '../http/errors.ts'
import { unlinkAfter, withNewBlobs } from '../encryption/blob-commits.ts'
import { KeyUnavailable } from '../encryption/key-unavailable.ts'
import { recordTampered } from '../encryption/record-tampered.ts'
import type { Removal, SealedBlobs } from '../encryption/sealed-blobs.ts'
import { changedMeanwhile } from '../store/conflicts.ts'
import { allRecords } from '../store/every-record.ts'
import { put, remove, type Change, type Stored } from '../store/records.ts'
import { accountAudit, CREATED, type AccountServices } from './accounts.ts'
import type { Account } from './account.ts'
import {
  copyKindOf,
  deploymentKey,
  deployments,
  isOwnDeployment,
  type DeployableModel,
  type Deployment,
  type DeploymentBody,
  type ModelSource,
} from './deployment.ts'
import {
  checkDeploymentModel,
  checkDeploymentName,
  checkSource,
  isDeploymentName,
  modelNotSupported,
  skuOf,
} from './deployment-rules.ts'
import { stopsWithKey as stopped, type RunningModels, type ServingModel } from './running-models.ts'

/** Each deployment is a process with a model in memory. */
export const MAX_DEPLOYMENTS = 32

export interface DeploymentsOptions extends Pick<
  AccountServices,
  'accounts' | 'records' | 'env' | 'audit' | 'keyRing'
> {
  readonly blobs: SealedBlobs
  readonly models: ModelSource
  readonly running: RunningModels
}

/** Makes and removes deployments of base models and of fine-tuned models. */
export class Deployments {
  readonly #options: DeploymentsOptions
  readonly #blobs: SealedBlobs
  readonly #running: RunningModels

  constructor(options: DeploymentsOptions) {
    this.#options = options
    this.#blobs = options.blobs
    this.#running = options.running
  }

  async list(accountId: string): Promise<Deployment[]> {
    const found = await allRecords(this.#options.records, deployments, { prefix: `${accountId}/` })
    return found.filter(stored => isOwnDeployment(stored, accountId)).map(({ value }) => value)
  }

  async find(accountId: string, name: string): Promise<Stored<Deployment> | undefined> {
    if (!isDeploymentName(name)) return undefined
    const found = await this.#options.records.get(deployments, deploymentKey(accountId, name))
    if (found !== undefined && !isOwnDeployment(found, accountId)) throw recordTampered(`the deployment ${name}`)
    return found
  }

  /** @throws 404 DeploymentNotFound */
  async get(accountId: string, name: string): Promise<Stored<Deployment>> {
    const found = await this.find(accountId, name)
    if (found !== undefined) return found
    throw new NotFound('DeploymentNotFound', `The deployment '${name}' does not exist.`)
  }

  /** The process that serves a deployment. @throws KeyUnavailable where it stops with its key */
  async model(deployment: Deployment): Promise<ServingModel> {
    const stops = deployment.onKeyUnavailable === 'stop'
    try {
      if (stops) await this.#options.keyRing.leases.keys(deployment.accountId)
    } catch (error) {
      throw error instanceof KeyUnavailable ? stopped(error, deployment.name) : error
    }
    return this.#running.get(deployment)
  }

  /** Creates or replaces. Resolves when the model answers. R24: a fine-tuned model is opened here with the account's key. */
  async put(
    account: Account,
    name: string,
    body: DeploymentBody,
  ): Promise<{ deployment: Deployment; created: boolean }> {
    checkDeploymentName(name)
    checkSource(account, body)
    checkDeploymentModel(body)
    const before = await this.find(account.accountId, name)
    const model = body.properties.model
    const stops = stopsWithKey(body, before?.value)
    const isSame = before?.value.model.name === model.name && (before.value.onKeyUnavailable === 'stop') === stops
    if (before !== undefined && isSame) return this.#updateSku(account, before, body)
    if (before === undefined && (await this.list(account.accountId)).length >= MAX_DEPLOYMENTS) {
      throw new AzureError(
        'QuotaExceeded',
        400,
        `The account has ${MAX_DEPLOYMENTS} deployments already. Delete one first.`,
      )
    }
    const resolved = await this.#options.models.resolve(account.accountId, model.name)
    if (resolved === undefined) throw modelNotSupported(body, 'name')
    const former = await this.#removalOf(before?.value)
    const making = withNewBlobs(this.#blobs, async create => {
      const own = await this.#ownCopy(account, name, body, resolved, { stops, create })
      await this.#commit(
        account,
        'write',
        [
          put(deployments, deploymentKey(account.accountId, name), own.deployment, before?.version ?? 0),
          ...own.changes,
          ...former.changes,
        ],
        name,
        before === undefined ? CREATED : {},
        before?.value.blobId !== undefined,
      )
      return own.deployment
    })
    const deployment = await unlinkAfter(making, [former])
    await this.#start(deployment)
    return { deployment, created: before === undefined }
  }

  /** R28: the copy's key is destroyed, the file unlinked and the process that held the weights ended. */
  async delete(account: Account, stored: Stored<Deployment>): Promise<void> {
    const { value } = stored
    const removal = await this.#removalOf(value)
    const deleting = this.#commit(
      account,
      'delete',
      [remove(deployments, deploymentKey(value.accountId, value.name), stored.version), ...removal.changes],
      value.blobId === undefined ? value.name : `${value.name}: key destroyed`,
      value.blobId === undefined ? {} : { blobId: value.blobId },
    )
    await unlinkAfter(deleting, [removal])
  }

  /** Resolves when the model answers. If somebody has deleted the deployment meanwhile, it resolves too, since it was made. */
  async #start(deployment: Deployment): Promise<void> {
    await this.#running.get(deployment).catch((error: unknown) => {
      if (!(error instanceof NotFound)) throw error
    })
  }

  async #updateSku(
    account: Account,
    before: Stored<Deployment>,
    body: DeploymentBody,
  ): Promise<{ deployment: Deployment; created: boolean }> {
    const deployment = { ...before.value, sku: skuOf(body) }
    await this.#commit(
      account,
      'write',
      [put(deployments, deploymentKey(account.accountId, deployment.name), deployment, before.version)],
      deployment.name,
    )
    await this.#start(deployment)
    return { deployment, created: false }
  }

  /**
   * R25: makes the deployment's own copy under the service's key, so that serving does not need the customer's key any more.
   * Where the deployment stops with its key, the copy is under the customer's.
   */
  async #ownCopy(
    account: Account,
    name: string,
    body: DeploymentBody,
    model: DeployableModel,
    { stops, create }: { readonly stops: boolean; readonly create: SealedBlobs['create'] },
  ): Promise<{ deployment: Deployment; changes: Change[] }> {
    const { accountId } = account
    const given = body.properties.model
    const base: Deployment = {
      accountId,
      name,
      model: { format: given.format ?? 'OpenAI', name: given.name, version: given.version || '1' },
      sku: skuOf(body),
      base: model.base,
      ...(stops ? { onKeyUnavailable: 'stop' } : {}),
      createdAt: new Date(this.#options.env.now()).toISOString(),
    }
    const { baseSha256 } = model
    if (model.blob === undefined) return { deployment: base, changes: [] }
    const opened = await this.#blobs.open(model.blob)
    const kind = copyKindOf(base)
    const { record, changes } = await create({ accountId, kind, source: opened.read() })
    return {
      deployment: { ...base, ...(baseSha256 === undefined ? {} : { baseSha256 }), blobId: record.blobId },
      changes,
    }
  }

  /** Removes its copy, and ends the process with the weights. */
  async #removalOf(deployment: Deployment | undefined): Promise<Removal> {
    if (deployment === undefined) return { changes: [], unlink: async () => undefined }
    const { accountId, blobId } = deployment
    const copy = blobId === undefined ? undefined : await this.#blobs.remove(accountId, blobId)
    const unlink = async (): Promise<void> => {
      await this.#running.stop(deployment)
      await copy?.unlink()
    }
    return { changes: copy?.changes ?? [], unlink }
  }

  async #commit(
    account: Account,
    action: 'write' | 'delete',
    changes: Change[],
    name: string,
    properties: object = {},
    shred = false,
  ): Promise<void> {
    const entry = accountAudit(account, `Microsoft.CognitiveServices/accounts/deployments/${action}`, name, properties)
    const { accounts, audit } = this.#options
    const committing =
      action === 'delete'
        ? audit.append(entry, changes, { shred: true })
        : accounts.commitUnder(account, entry, changes, shred)
    await committing.catch(changedMeanwhile(`The deployment '${name}'`))
  }
}

/** Fields that the body leaves out stay as they were. */
function stopsWithKey(body: DeploymentBody, before: Deployment | undefined): boolean {
  return (body.properties.onKeyUnavailable ?? before?.onKeyUnavailable) === 'stop'
}
