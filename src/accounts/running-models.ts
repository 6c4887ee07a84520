import { Readable } from 'node:stream'
import type { InferenceRuntime, LoadedModel } from '../engines/engine.ts'
import { blobRecord } from '../encryption/blob-records.ts'
import type { KeyLeases } from '../encryption/key-lease.ts'
import { KeyUnavailable } from '../encryption/key-unavailable.ts'
import type { SealedBlobs } from '../encryption/sealed-blobs.ts'
import type { RecordStore } from '../store/records.ts'
import { copyKindOf, deploymentKey, type Deployment } from './deployment.ts'

/** What may be said through it ends with the signal, where it has one: its streams are to be cut then. */
export interface ServingModel extends LoadedModel {
  readonly cut?: AbortSignal
}

interface Options {
  readonly records: RecordStore
  readonly blobs: SealedBlobs
  readonly runtime: InferenceRuntime
  readonly leases: Pick<KeyLeases, 'hold'>
}

/** The processes behind deployments: one each, started when first needed, ended with the deployment (R28). */
export class RunningModels {
  readonly #models = new Map<string, Promise<ServingModel>>()
  readonly #options: Options

  constructor(options: Options) {
    this.#options = options
  }

  /**
   * The deployment's process, started if it is not running. R25: needs no customer key, also after a restart; one that stops
   * with its key holds the account's lease for as long as it runs. @throws KeyUnavailable
   */
  get(deployment: Deployment): Promise<ServingModel> {
    const key = deploymentKey(deployment.accountId, deployment.name)
    const known = this.#models.get(key)
    if (known !== undefined) return known
    const loading: Promise<ServingModel> =
      deployment.onKeyUnavailable === 'stop' ? this.#loadHeld(deployment) : this.#load(deployment)
    this.#models.set(key, loading)
    const forget = (): void => {
      if (this.#models.get(key) === loading) this.#models.delete(key)
    }
    loading.then(model => {
      // The next request finds no process that is about to end.
      model.cut?.addEventListener('abort', forget)
      return model.ended.then(forget, forget)
    }, forget)
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

  async #load(deployment: Deployment, signal?: AbortSignal): Promise<LoadedModel> {
    const { records, blobs, runtime } = this.#options
    const { accountId, name, base, blobId } = deployment
    const given = { id: `${accountId}/${name}`, base, ...(signal === undefined ? {} : { signal }) }
    if (blobId === undefined) return runtime.load(given)
    const opened = await blobs.open(await blobRecord(records, accountId, blobId, [copyKindOf(deployment)]))
    return runtime.load({ ...given, adapter: Readable.from(opened.read(), { objectMode: false }) })
  }

  /** R20: from here on a process holds plaintext that the customer may take back; it is killed when the lease is over. */
  async #loadHeld(deployment: Deployment): Promise<ServingModel> {
    const hold = await this.#options.leases.hold(deployment.accountId)
    try {
      const model = await this.#load(deployment, hold.signal)
      const kill = (): void => void model.unload()
      hold.signal.addEventListener('abort', kill)
      if (hold.signal.aborted) kill()
      void model.ended.finally(() => hold.release())
      return untilCut(model, hold.signal, deployment.name)
    } catch (error) {
      hold.release()
      throw hold.signal.aborted ? stopped(hold.signal, deployment.name) : error
    }
  }
}

/** Whoever waits for an answer when the process is killed learns why. */
function untilCut(model: LoadedModel, cut: AbortSignal, name: string): ServingModel {
  return {
    ...model,
    cut,
    async *chat(request, signal) {
      try {
        for await (const delta of model.chat(request, signal)) {
          cut.throwIfAborted()
          yield delta
        }
      } catch (error) {
        throw cut.aborted ? stopped(cut, name) : error
      }
    },
  }
}

function stopped({ reason }: AbortSignal, name: string): unknown {
  return reason instanceof KeyUnavailable ? stopsWithKey(reason, name) : reason
}

/** The refusal, with what it means for the deployment. */
export function stopsWithKey(error: KeyUnavailable, name: string): KeyUnavailable {
  return error.because(`The deployment '${name}' stops when its key is unavailable.`)
}
