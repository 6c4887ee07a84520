import { Readable } from 'node:stream'
import { eachForItself } from '../base/each-for-itself.ts'
import { repeatedly } from '../base/repeatedly.ts'
import type { InferenceRuntime, LoadedModel } from '../engines/engine.ts'
import { BaseUnavailable, EngineLost } from '../engines/failures.ts'
import { blobRecord } from '../encryption/blob-records.ts'
import type { KeyLeases } from '../encryption/key-lease.ts'
import { KeyUnavailable } from '../encryption/key-unavailable.ts'
import type { SealedBlobs } from '../encryption/sealed-blobs.ts'
import { AzureError, NotFound } from '../http/errors.ts'
import type { RecordStore } from '../store/records.ts'
import { accounts } from './account.ts'
import { copyKindOf, deploymentKey, deployments, type Deployment } from './deployment.ts'

/** If it has a signal, its streams are to be cut when that is aborted. */
export interface ServingModel extends LoadedModel {
  readonly cut?: AbortSignal
}

/** A process that was lost sooner is started only by the next request, so that a model that always crashes is not restarted for ever. */
const RESTART_AFTER_MS = 10_000
const RETRY_AFTER_SECONDS = '2'
const WAIT_FOR_BASE_SECONDS = '60'
/** How often deletions by other processes are looked for that no watch reported. */
const RECONCILE_MS = 10_000
const FOLLOWED: ReadonlySet<string> = new Set([accounts.name, deployments.name])

interface Running {
  readonly deployment: Deployment
  readonly model: Promise<ServingModel>
}

interface Options {
  readonly records: RecordStore
  readonly blobs: SealedBlobs
  readonly runtime: InferenceRuntime
  readonly leases: Pick<KeyLeases, 'hold'>
}

/** The processes behind deployments: one each, started on first use, ended with the deployment (R28). */
export class RunningModels {
  readonly #models = new Map<string, Running>()
  readonly #options: Options

  constructor(options: Options) {
    this.#options = options
  }

  /**
   * The deployment's process, started if it is not running. R25: it needs no customer key, also after a restart. One that stops
   * with its key holds the account's lease for as long as it runs. A lost process is started again.
   * @throws KeyUnavailable, 503 when it is lost while it loads
   */
  get(deployment: Deployment): Promise<ServingModel> {
    const key = deploymentKey(deployment.accountId, deployment.name)
    const known = this.#models.get(key)
    if (known !== undefined && isSame(known.deployment, deployment)) return known.model
    // A process that is there but has ended is replaced; one that runs stays.
    if (known !== undefined) return known.model.catch(() => this.get(deployment))
    const running: Running = { deployment, model: this.#start(deployment) }
    this.#models.set(key, running)
    const forget = (): boolean => this.#models.get(key) === running && this.#models.delete(key)
    running.model.then(async model => {
      const began = performance.now()
      // So that the next request does not find a process that is about to end.
      model.cut?.addEventListener('abort', forget)
      await model.ended
      if (forget() && performance.now() - began >= RESTART_AFTER_MS) this.get(deployment).catch(() => undefined)
    }, forget)
    return running.model
  }

  async #start(deployment: Deployment): Promise<ServingModel> {
    try {
      await this.#checkThere(deployment)
      const load = deployment.onKeyUnavailable === 'stop' ? this.#loadHeld(deployment) : this.#loadFree(deployment)
      const model = await load
      // A deletion from here on finds this process, and ends it.
      await this.#checkThere(deployment).catch(async (error: unknown) => {
        await model.unload()
        throw error
      })
      return model
    } catch (error) {
      throw askAgain(error, deployment.name)
    }
  }

  /** The caller may have waited for a vault since it read the deployment. @throws 404 where that was deleted or replaced meanwhile */
  async #checkThere(deployment: Deployment): Promise<void> {
    const { accountId, name } = deployment
    const { records } = this.#options
    const account = await records.get(accounts, accountId)
    const now = await records.get(deployments, deploymentKey(accountId, name))
    const isLive = account !== undefined && account.value.deleted === undefined
    if (!isLive || now === undefined || !isSame(now.value, deployment))
      throw new NotFound('DeploymentNotFound', `The deployment '${name}' was deleted or replaced meanwhile.`)
  }

  /**
   * R28: ends what runs here for a deployment that another process deleted or replaced, or whose account it deleted: at once where a watch
   * reports it, otherwise within `RECONCILE_MS`. Does nothing where no other process writes into the store.
   */
  followOthers(onFailure: (error: unknown) => void): { close(): Promise<void> } {
    const { records } = this.#options
    if (!records.properties.shared) return { close: async () => {} }
    const watch = records.watch(written => {
      const isOurs = written === 'lost' || written.some(({ collection }) => FOLLOWED.has(collection))
      if (isOurs) this.reconcile().catch(onFailure)
    })
    const repeating = repeatedly(() => this.reconcile(), RECONCILE_MS, onFailure)
    return {
      close: async () => {
        watch.close()
        await repeating.stop()
      },
    }
  }

  /**
   * Compares what runs with the records, and ends processes whose deployment is gone. None waits for another one, which may still load.
   * @throws the failures, when everything else is done
   */
  async reconcile(): Promise<void> {
    const looks = eachForItself()
    await Promise.all(
      [...this.#models.values()].map(({ deployment }) => looks.attempt(() => this.#endIfGone(deployment))),
    )
    looks.end()
  }

  async #endIfGone(deployment: Deployment): Promise<void> {
    const isThere = await this.#checkThere(deployment).then(
      () => true,
      (error: unknown) => {
        if (!(error instanceof NotFound)) throw error
        return false
      },
    )
    if (!isThere) await this.#end(deployment)
  }

  /** Removes this one from the map, but not one that has taken its place. */
  async #end(deployment: Deployment): Promise<void> {
    const key = deploymentKey(deployment.accountId, deployment.name)
    const running = this.#models.get(key)
    if (running?.deployment === deployment) await this.stop(deployment)
  }

  async stop(deployment: Deployment): Promise<void> {
    const key = deploymentKey(deployment.accountId, deployment.name)
    const running = this.#models.get(key)
    this.#models.delete(key)
    const model = await running?.model.catch(() => undefined)
    await model?.unload()
  }

  async stopAll(): Promise<void> {
    const running = [...this.#models.values()]
    this.#models.clear()
    await Promise.all(running.map(async ({ model }) => (await model.catch(() => undefined))?.unload()))
  }

  async #load(deployment: Deployment, signal?: AbortSignal): Promise<LoadedModel> {
    const { records, blobs, runtime } = this.#options
    const { accountId, name, base, baseSha256, blobId } = deployment
    const given = { id: `${accountId}/${name}`, base, baseSha256, ...(signal === undefined ? {} : { signal }) }
    const load = async (): Promise<LoadedModel> => {
      if (blobId === undefined) return runtime.load(given)
      const opened = await blobs.open(await blobRecord(records, accountId, blobId, [copyKindOf(deployment)]))
      return runtime.load({ ...given, adapter: Readable.from(opened.read(), { objectMode: false }) })
    }
    return load().catch((error: unknown) => {
      throw error instanceof BaseUnavailable ? waitsForBase(error, name) : error
    })
  }

  async #loadFree(deployment: Deployment): Promise<ServingModel> {
    const model = await this.#load(deployment)
    return withReasons(model, error => this.#reasonOf(error, deployment))
  }

  /** Why a chat gets no answer: its process is lost, or was ended with its deployment (R28). */
  async #reasonOf(error: unknown, deployment: Deployment): Promise<unknown> {
    if (!(error instanceof EngineLost)) return error
    return this.#checkThere(deployment).then(
      () => askAgain(error, deployment.name),
      (gone: unknown) => gone,
    )
  }

  /** R20: from here on a process holds plaintext that the customer can revoke, so it is killed when the lease ends. */
  async #loadHeld(deployment: Deployment): Promise<ServingModel> {
    const hold = await this.#options.leases.hold(deployment.accountId)
    try {
      const model = await this.#load(deployment, hold.signal)
      const kill = (): void => void model.unload()
      hold.signal.addEventListener('abort', kill)
      if (hold.signal.aborted) kill()
      void model.ended.finally(() => hold.release())
      const cut = hold.signal
      const reasonOf = (error: unknown): unknown =>
        cut.aborted ? stopped(cut, deployment.name) : this.#reasonOf(error, deployment)
      return { ...withReasons(model, reasonOf, cut), cut }
    } catch (error) {
      hold.release()
      throw hold.signal.aborted ? stopped(hold.signal, deployment.name) : error
    }
  }
}

/** Checks that it is not another deployment of the same name. */
function isSame(one: Deployment, other: Deployment): boolean {
  return one.createdAt === other.createdAt && one.base === other.base && one.blobId === other.blobId
}

/** Requests that wait when the process is killed learn the reason. `reasonOf` may take long. */
function withReasons(model: LoadedModel, reasonOf: (error: unknown) => unknown, cut?: AbortSignal): LoadedModel {
  return {
    ...model,
    async *chat(request, signal) {
      try {
        for await (const delta of model.chat(request, signal)) {
          cut?.throwIfAborted()
          yield delta
        }
      } catch (error) {
        throw await reasonOf(error)
      }
    },
  }
}

/** The error for a lost process; the next request finds another one. */
function askAgain(error: unknown, name: string): unknown {
  if (!(error instanceof EngineLost)) return error
  return new AzureError(
    '503',
    503,
    `The deployment '${name}' could not answer: ${error.message}. It is started again: repeat the request.`,
    { headers: { 'retry-after': RETRY_AFTER_SECONDS }, cause: error },
  )
}

/** Only the operator can put it right, so clients need not repeat the request at once. */
function waitsForBase(error: BaseUnavailable, name: string): AzureError {
  const message = `The deployment '${name}' can't be served now: ${error.message}. Whoever runs this service can put it back.`
  return new AzureError('503', 503, message, { headers: { 'retry-after': WAIT_FOR_BASE_SECONDS }, cause: error })
}

function stopped({ reason }: AbortSignal, name: string): unknown {
  return reason instanceof KeyUnavailable ? stopsWithKey(reason, name) : reason
}

/** The refusal, with its consequence for the deployment. */
export function stopsWithKey(error: KeyUnavailable, name: string): KeyUnavailable {
  return error.because(`The deployment '${name}' stops when its key is unavailable.`)
}
