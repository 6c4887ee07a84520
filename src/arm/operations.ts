import { setTimeout as sleep } from 'node:timers/promises'
import type { Env } from '../base/env.ts'
import type { ErrorCode } from '../http/error-codes.ts'
import { AzureError, NotFound, type ErrorDetail } from '../http/errors.ts'
import { empty, json } from '../http/respond.ts'
import type { Call, Route } from '../http/route.ts'
import { unlessConflict } from '../store/conflicts.ts'
import { allRecords, everyRecord } from '../store/every-record.ts'
import { isFenced, underLease, type Leases, type Lease } from '../store/leases.ts'
import { collection, leaveOut, put, remove, ShredIncomplete, VersionConflict } from '../store/records.ts'
import type { Change, RecordStore, Stored } from '../store/records.ts'
import { StorageRefused, storageTrouble } from '../store/storage-errors.ts'
import { apiVersion } from './api-version.ts'
import type { ResourceManager } from './resource-manager.ts'

/** An asynchronous operation, in Azure's forms: polled by `Location` or `Azure-AsyncOperation`. */
export interface Operation {
  readonly operationId: string
  readonly subscriptionId: string
  readonly resourceId: string
  readonly status: 'Running' | 'Succeeded' | 'Failed'
  readonly startedBy: string
  /** Milliseconds since 1970. */
  readonly startedAt: number
  readonly endedAt?: number
  /** The status of `Location` at the end; default 200. */
  readonly endStatus?: number
  readonly error?: {
    readonly code: ErrorCode
    readonly status: number
    readonly message: string
    readonly details?: readonly ErrorDetail[]
  }
}

/** By `<subscription id>/<operation id>`. */
const operations = collection<Operation>('arm.operations')

export interface OperationWork {
  /** @param fence of the operation's lease, for its own commits */
  run(fence: readonly Change[]): Promise<void>
  /** Changes for the commit that records a failure, such as taking a mark from a resource. Asked for again when that commit was refused. */
  undo?(): Promise<readonly Change[]>
}

const RETRY_AFTER_SECONDS = 1
const RETRY_MS = 1000
/** Milliseconds without a sign of life after which another process goes on. */
const LEASE_MS = 30_000
const KEPT_MS = 24 * 3_600_000

export interface OperationsOptions {
  readonly leases: Leases
  readonly records: RecordStore
  readonly env: Env
  readonly resourceManager: ResourceManager
  readonly log: (line: object) => void
}

/** Runs long work, and keeps its result. */
export class Operations {
  readonly #options: OperationsOptions
  readonly #running = new Set<Promise<void>>()
  readonly #closing = new AbortController()

  constructor(options: OperationsOptions) {
    this.#options = options
  }

  /** Starts the work and answers 202. @param forms which headers say where to poll */
  async start(
    call: Call,
    what: {
      readonly subscriptionId: string
      readonly resourceId: string
      readonly endStatus?: number
      readonly operationId?: string
      /** Writes the operation together with a mark on its resource; default: the operation alone. */
      readonly commit?: (changes: readonly Change[]) => Promise<unknown>
    },
    work: OperationWork,
    forms: readonly ('location' | 'async')[] = ['location'],
  ): Promise<Response> {
    const { records, env } = this.#options
    // On a full disk what deletes goes on.
    const options = call.method === 'DELETE' ? ({ reserve: 'last' } as const) : {}
    const { commit = (changes: readonly Change[]) => records.commit(changes, options), ...rest } = what
    const operation: Operation = {
      ...rest,
      operationId: what.operationId ?? env.uuid(),
      status: 'Running',
      startedBy: call.caller.type === 'principal' ? call.caller.objectId : '',
      startedAt: env.now(),
    }
    const lease = await this.#claim(operation)
    if (lease === undefined) throw new Error(`The operation ${operation.operationId} is under way already.`)
    await commit([...lease.fence, put(operations, keyOf(operation), operation, 0)]).catch(async (error: unknown) => {
      await lease.release()
      throw error
    })
    this.#run(operation, work, lease)
    return accepted(call, operation, forms)
  }

  /** Answers 202 for an operation that is under way already; undefined when it is not. */
  async join(call: Call, subscriptionId: string, operationId: string): Promise<Response | undefined> {
    const found = await this.find(subscriptionId, operationId).catch(() => undefined)
    return found?.status === 'Running' ? accepted(call, found, ['location']) : undefined
  }

  /** Goes on with an operation that a stop of a service broke off. Does nothing where it is under way, here or in another process. */
  async resume({ value: operation }: Stored<Operation>, work: OperationWork): Promise<void> {
    const lease = await this.#claim(operation)
    if (lease === undefined) return
    // It may have ended since it was read, and what it worked on may be another's now.
    const isOpen = await this.#isRunning(operation).catch(async (error: unknown) => {
      await lease.release()
      throw error
    })
    if (isOpen) this.#run(operation, work, lease)
    else await lease.release()
  }

  async #isRunning(operation: Operation): Promise<boolean> {
    return (await this.#options.records.get(operations, keyOf(operation)))?.value.status === 'Running'
  }

  #claim(operation: Operation): Promise<Lease | undefined> {
    return this.#options.leases.claim(`operation/${keyOf(operation)}`, LEASE_MS)
  }

  #run(operation: Operation, work: OperationWork, lease: Lease): void {
    const running: Promise<void> = underLease(lease, () => this.#finish(operation, work, lease))
      .catch((error: unknown) => this.#tell('The work of an operation broke off', error))
      .finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  /** Operations that are under way, or that a stop of a service broke off. */
  async open(): Promise<Stored<Operation>[]> {
    const all = await allRecords(this.#options.records, operations, { onTampered: leaveOut })
    return all.filter(({ value }) => value.status === 'Running')
  }

  /** Those that ended a day ago are nobody's any more. */
  async forgetEnded(): Promise<void> {
    const { records, env } = this.#options
    const all = everyRecord(records, operations, { onTampered: leaveOut })
    for await (const { id, value, version } of all)
      if ((value.endedAt ?? Infinity) < env.now() - KEPT_MS)
        await records.commit([remove(operations, id, version)]).catch(unlessConflict)
  }

  /** Ends an operation that a stop of the service broke off, so that its clients don't poll for ever. Not where another process runs it. */
  async giveUp(lost: readonly Stored<Operation>[]): Promise<void> {
    const { records, env } = this.#options
    const message = 'The service was stopped before the operation ended. Look at the resource, then repeat the request.'
    const error = { code: 'OperationInterrupted', status: 409, message } as const
    for (const { id, value, version } of lost) {
      const lease = await this.#claim(value)
      if (lease === undefined) continue
      const ended: Operation = { ...value, status: 'Failed', endedAt: env.now(), error }
      const changes = [...lease.fence, put(operations, id, ended, version)]
      await underLease(lease, () => records.commit(changes).catch(unlessConflict))
    }
  }

  /** Resolves when nothing is under way any more. */
  async settle(): Promise<void> {
    this.#closing.abort()
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  async find(subscriptionId: string, operationId: string): Promise<Operation> {
    const found =
      operationId.length > 64
        ? undefined
        : await this.#options.records.get(operations, `${subscriptionId}/${operationId.toLowerCase()}`)
    if (found !== undefined) return found.value
    throw new NotFound('OperationNotFound', `There is no operation '${operationId.slice(0, 64)}' any more.`)
  }

  /** However long the disk takes no writes: clients poll it. What ends before is given up at the next start. */
  async #recordEnd(changes: () => Promise<readonly Change[]>): Promise<void> {
    for (let refusals = 0; ; refusals += 1) {
      try {
        await this.#options.records.commit(await changes(), { reserve: 'small' })
        return
      } catch (error) {
        // Another process goes on with it.
        if (isFenced(error)) return
        if (refusals === 0) this.#tell('An operation could not be recorded', error)
        const isPassing = storageTrouble(error) !== undefined || error instanceof VersionConflict
        if (!isPassing || this.#closing.signal.aborted) return
        await sleep(RETRY_MS, undefined, { signal: this.#closing.signal }).catch(() => undefined)
      }
    }
  }

  #tell(message: string, error: unknown): void {
    this.#options.log({ level: 'error', message, error: String(error) })
  }

  async #finish(operation: Operation, work: OperationWork, { fence }: Lease): Promise<void> {
    const { env, log } = this.#options
    const end = async (): Promise<Operation> => {
      try {
        await work.run(fence)
        return { ...operation, status: 'Succeeded' }
      } catch (error) {
        if (!(error instanceof AzureError)) {
          const fault = error instanceof Error ? error.stack : String(error)
          log({ level: 'error', message: 'An operation failed', operationId: operation.operationId, error: fault })
        }
        return { ...operation, status: 'Failed', error: errorOf(error) }
      }
    }
    const ended: Operation = { ...(await end()), endedAt: env.now() }
    const undone = async (): Promise<readonly Change[]> =>
      ended.status === 'Failed' ? ((await work.undo?.()) ?? []) : []
    await this.#recordEnd(async () => [...fence, ...(await undone()), put(operations, keyOf(operation), ended)])
  }
}

/** The addresses that clients poll, in both of Azure's forms. */
export function operationRoutes(service: Operations, resourceManager: ResourceManager): Route[] {
  const base = { host: 'management', auth: 'management', method: 'GET', maxBody: 0 } as const
  const enter = async (call: Call): Promise<Operation> => {
    apiVersion(call)
    const { subscriptionid = '', operation = '' } = call.params
    const { subscriptionId } = await resourceManager.subscription(subscriptionid)
    const found = await service.find(subscriptionId, operation)
    const isOwn = call.caller.type === 'principal' && call.caller.objectId === found.startedBy
    const action = 'Microsoft.Resources/subscriptions/operationresults/read'
    if (!isOwn) await resourceManager.authorize(call.caller, `/subscriptions/${subscriptionId}`, action)
    return found
  }
  return [
    {
      ...base,
      path: '/subscriptions/:subscriptionid/operationresults/:operation',
      handler: async call => {
        const found = await enter(call)
        if (found.status === 'Running') return accepted(call, found, ['location'])
        if (found.error === undefined) return empty(found.endStatus ?? 200)
        const { code, status, message, details } = found.error
        throw new AzureError(code, status, message, details === undefined ? {} : { details })
      },
    },
    {
      ...base,
      path: '/subscriptions/:subscriptionid/operationstatuses/:operation',
      handler: async call => {
        const found = await enter(call)
        return json(
          showOperation(found),
          found.status === 'Running' ? { headers: { 'retry-after': String(RETRY_AFTER_SECONDS) } } : {},
        )
      },
    },
  ]
}

function accepted(call: Call, operation: Operation, forms: readonly ('location' | 'async')[]): Response {
  const { subscriptionId, operationId } = operation
  const version = encodeURIComponent(call.query.get('api-version') ?? '')
  const at = (kind: string): string =>
    `${call.origin}/subscriptions/${subscriptionId}/${kind}/${operationId}?api-version=${version}`
  return empty(202, {
    'retry-after': String(RETRY_AFTER_SECONDS),
    ...(forms.includes('location') ? { location: at('operationresults') } : {}),
    ...(forms.includes('async') ? { 'azure-asyncoperation': at('operationstatuses') } : {}),
  })
}

function showOperation(operation: Operation): object {
  const { subscriptionId, operationId, resourceId, status, startedAt, endedAt, error } = operation
  return {
    id: `/subscriptions/${subscriptionId}/operationstatuses/${operationId}`,
    name: operationId,
    resourceId,
    status,
    startTime: new Date(startedAt).toISOString(),
    ...(endedAt === undefined ? {} : { endTime: new Date(endedAt).toISOString() }),
    ...(error === undefined ? {} : { error: { code: error.code, message: error.message, details: error.details } }),
  }
}

function errorOf(error: unknown): NonNullable<Operation['error']> {
  const isOfDisk = error instanceof StorageRefused || error instanceof ShredIncomplete
  if (error instanceof AzureError && (error.status < 500 || isOfDisk)) {
    const { code, status, message, options } = error
    return { code, status, message, ...(options.details === undefined ? {} : { details: options.details }) }
  }
  return {
    code: 'InternalServerError',
    status: 500,
    message: 'The operation failed because of an error in the service: see its log.',
  }
}

function keyOf({ subscriptionId, operationId }: Operation): string {
  return `${subscriptionId}/${operationId}`
}
