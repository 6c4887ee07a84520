import type { Env } from '../base/env.ts'
import { AzureError } from '../http/errors.ts'
import type { Authenticator, Call, Route } from '../http/route.ts'
import type { AuditLog } from '../store/audit-log.ts'
import type { NewAuditEntry } from '../store/audit-entry.ts'
import type { CommitOptions, Written } from '../store/records.ts'
import { CommitUnknown, StorageRefused } from '../store/storage-errors.ts'
import { auditEvent, SERVICE, signatureOf, type AuditSink } from './audit-event.ts'
import { HeldRecords } from './held-records.ts'
import { RefusalLimit } from './refusal-limit.ts'
import { requestContext, type RequestContext } from './request-context.ts'

export interface RequestAudit {
  /** The log for the modules. A record gets the caller, address and id of its request, or says that the service acted by itself. */
  readonly sink: AuditSink
  /** The same routes. Each request to them makes one record, allowed or refused, unless it made one itself. */
  routes(routes: readonly Route[]): Route[]
  /** The same authenticator, whose refusals are recorded. */
  authenticator(authenticator: Authenticator): Authenticator
  /** Writes what was counted, or held while the disk was full. Call it each minute and at the end. */
  flush(): Promise<void>
}

const AUTHENTICATION = 'Authentication'

/** R05: every operation of every plane makes one AuditEvent record: who, what, when, from where, duration, result. */
export function openRequestAudit(log: AuditSink, env: Env, refusals = new RefusalLimit()): RequestAudit {
  const held = new HeldRecords()
  const append: AuditLog['append'] = async (entry, changes = [], options = {}) => {
    const context = requestContext.getStore()
    const complete = completed(entry, context?.closed ? undefined : context, env)
    const isAnonymous = complete.identity === undefined && complete.callerIpAddress !== SERVICE
    const isRefusal = isAnonymous && complete.resultType === 'Failed' && changes.length === 0
    const kept = changes.length > 0 ? reserveOf(context) : {}
    const write = (): Promise<readonly Written[]> => log.append(complete, changes, { ...kept, ...options })
    const isAdmitted = !isRefusal || refusals.admits(complete)
    const written = isAdmitted ? await (changes.length > 0 ? write() : orHeld(held, complete, write)) : []
    if (context !== undefined) context.recorded = complete.resultType
    return written
  }
  return {
    sink: { append },
    routes: routes => routes.map(route => ({ ...route, handler: call => handle(append, env, route, call) })),
    authenticator: authenticator => call => authenticate(append, env, authenticator, call),
    async flush() {
      for (const entry of refusals.takeCounted())
        held.hold({ ...entry, time: entry.time ?? new Date(env.now()).toISOString() })
      const waiting = held.take()
      for (const [index, entry] of waiting.entries())
        await log.append(entry).catch((error: unknown) => {
          for (const left of waiting.slice(index)) held.hold(left)
          throw error
        })
    },
  }
}

/** Whether the operation may use the disk's reserve: a deletion, or one that takes somebody's access away. */
function reserveOf(context: RequestContext | undefined): CommitOptions {
  if (context?.call.method === 'DELETE' || context?.deletes) return { reserve: 'last' }
  return context?.endsAccess ? { reserve: 'small' } : {}
}

/** Where the disk has no room for the record of a read, the read goes on and the record waits. */
async function orHeld(
  held: HeldRecords,
  entry: NewAuditEntry & { readonly time: string },
  write: () => Promise<readonly Written[]>,
): Promise<readonly Written[]> {
  try {
    return await write()
  } catch (error) {
    if (!(error instanceof StorageRefused) || error.reason === 'ended') throw error
    held.hold(entry)
    return []
  }
}

async function handle(append: AuditLog['append'], env: Env, route: Route, call: Call): Promise<Response> {
  const context: RequestContext = { call, started: performance.now() }
  context.commit = async (changes, { status = 200, operation, reserve }) => {
    const isOwn = operation !== undefined && operation.operationName !== context.operationName
    const { recorded } = context
    const written = await append(
      eventOf(isOwn ? { ...context, ...operation } : context, env, { route, status }),
      changes,
      reserve === undefined ? {} : { reserve },
    )
    // A change beside the operation has its own record; the operation's record is still to be made.
    if (!isOwn) context.recorded = 'Success'
    else if (recorded === undefined) delete context.recorded
    else context.recorded = recorded
    return written
  }
  return requestContext.run(context, async () => {
    let response: Response | undefined
    try {
      response = await route.handler(call)
      if (context.recorded === undefined && !context.unrecorded)
        await append(eventOf(context, env, { route, status: response.status }))
      return response
    } catch (error) {
      // Nobody will read the body, so what is open behind it (a file, a model) is closed.
      await response?.body?.cancel().catch(() => undefined)
      // ADR 0023: the outcome is unknown, so the log says nothing about it.
      if (context.recorded !== 'Failed' && !(error instanceof CommitUnknown))
        await append(eventOf(context, env, { route, error }))
      throw error
    } finally {
      context.closed = true
    }
  })
}

/** Only refusals are recorded here: callers who are let in are in the record of their operation. */
async function authenticate(append: AuditLog['append'], env: Env, authenticator: Authenticator, call: Call) {
  const context: RequestContext = { call, started: performance.now() }
  return requestContext.run(context, async () => {
    try {
      return await authenticator(call)
    } catch (error) {
      const isRefusal = error instanceof AzureError && (error.status === 401 || error.status === 403)
      if (isRefusal && context.recorded === undefined) {
        context.operationName = AUTHENTICATION
        await append(eventOf(context, env, { error }))
      }
      throw error
    } finally {
      context.closed = true
    }
  })
}

function eventOf(
  context: RequestContext,
  env: Env,
  { route, status, error }: { readonly route?: Route; readonly status?: number; readonly error?: unknown },
): NewAuditEntry {
  const { call, started, operationName, resourceId, properties } = context
  const known = error instanceof AzureError ? error : undefined
  const description =
    error === undefined ? {} : { description: known?.options.recorded ?? known?.message ?? 'Internal error' }
  return auditEvent(call, env.now(), {
    operationName: operationName ?? `${call.method} ${route?.path ?? call.url.pathname}`,
    resourceId: resourceId ?? '',
    ...(resourceId === undefined ? {} : { id: resourceId }),
    status: status ?? known?.status ?? 500,
    ...description,
    durationMs: performance.now() - started,
    properties: { ...properties, ...(known === undefined ? {} : { errorCode: innermostCode(known) }) },
  })
}

/** Whether a record is complete: it has a status, or the service acted by itself. Others are committed with a module's changes. */
function completed(
  entry: NewAuditEntry,
  context: RequestContext | undefined,
  env: Env,
): NewAuditEntry & { readonly time: string } {
  const time = entry.time ?? new Date(env.now()).toISOString()
  const given = statusIn(entry)
  if (entry.callerIpAddress === SERVICE || (entry.callerIpAddress !== undefined && given !== undefined))
    return { ...entry, time }
  const status = given ?? (entry.resultType === 'Success' ? 200 : 500)
  if (context === undefined) {
    const own = { resultSignature: signatureOf(status), durationMs: 0, callerIpAddress: SERVICE }
    return { correlationId: env.uuid(), ...own, ...entry, time }
  }
  const event = auditEvent(context.call, Date.parse(time), {
    operationName: entry.operationName,
    resourceId: entry.resourceId ?? '',
    id: entry.resourceId,
    status,
    durationMs: performance.now() - context.started,
  })
  const { category, identity } = event
  const who = identity === undefined ? {} : { identity }
  return { ...event, ...entry, category, ...who, time, properties: { ...event.properties, ...entry.properties } }
}

function statusIn({ properties }: NewAuditEntry): number | undefined {
  const { httpStatusCode: status } = (properties ?? {}) as { httpStatusCode?: unknown }
  return typeof status === 'number' ? status : undefined
}

/** The most specific code: that of the error's cause, where one is known. */
export function innermostCode(error: AzureError): string {
  let inner = error.options.innererror
  while (inner?.innererror !== undefined) inner = inner.innererror
  return inner?.code ?? error.code
}
