import { Readable } from 'node:stream'
import type { InferenceRuntime, LoadedModel } from '../engines/engine.ts'
import { blobRecord } from '../encryption/blob-records.ts'
import type { SealedBlobs } from '../encryption/sealed-blobs.ts'
import type { RecordStore } from '../store/records.ts'
import { copyKindOf, deploymentKey, type Deployment } from './deployment.ts'

/** The processes behind deployments: one each, started when first needed, ended with the deployment (R28). */
export class RunningModels {
  readonly #models = new Map<string, Promise<LoadedModel>>()
  readonly #options: { records: RecordStore; blobs: SealedBlobs; runtime: InferenceRuntime }

  constructor(options: { records: RecordStore; blobs: SealedBlobs; runtime: InferenceRuntime }) {
    this.#options = options
  }

  /** The deployment's process, started if it is not running. R25: needs no customer key, also after a restart. */
  get(deployment: Deployment): Promise<LoadedModel> {
    const key = deploymentKey(deployment.accountId, deployment.name)
    const known = this.#models.get(key)
    if (known !== undefined) return known
    const loading = this.#load(deployment)
    this.#models.set(key, loading)
    const forget = (): void => {
      if (this.#models.get(key) === loading) this.#models.delete(key)
    }
    loading.then(model => model.ended.then(forget, forget), forget)
    return loading
  }

  async stop(deployment: Deployment): Promise<void> {
    const key = deploymentKey(deployment.accountId, deployment.name)
    const running = this.#models.get(key)
    this.#models.delete(key)
    const model = await running?.catch(() => undefined)
    await model?.unload()
  }

  async stopAll(): Promise<void> {
    const running = [...this.#models.values()]
    this.#models.clear()
    await Promise.all(running.map(async loading => (await loading.catch(() => undefined))?.unload()))
  }

  async #load(deployment: Deployment): Promise<LoadedModel> {
    const { records, blobs, runtime } = this.#options
    const { accountId, name, base, blobId } = deployment
    const id = `${accountId}/${name}`
    if (blobId === undefined) return runtime.load({ id, base })
    const opened = await blobs.open(await blobRecord(records, accountId, blobId, [copyKindOf(deployment)]))
    return runtime.load({ id, base, adapter: Readable.from(opened.read(), { objectMode: false }) })
  }
}
