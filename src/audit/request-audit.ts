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
  /** The log for the modules: records that a request makes get its caller, address and id, those of the service's own doing say so. */
  readonly sink: AuditSink
  /** The same routes; each request to them makes one record, allowed or refused, unless it made one by itself. */
  routes(routes: readonly Route[]): Route[]
  /** The same authenticator; whom it refuses is recorded. */
  authenticator(authenticator: Authenticator): Authenticator
  /** Writes what was only counted, or held while the disk was full; call it each minute and at the end. */
  flush(): Promise<void>
}

const AUTHENTICATION = 'Authentication'

/** R05: every operation of every plane makes one AuditEvent record: who, what, when, from where, how long, with which result. */
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

/** Of the disk is kept back what a deletion needs, and what takes somebody's access away. */
function reserveOf(context: RequestContext | undefined): CommitOptions {
  if (context?.call.method === 'DELETE') return { reserve: 'last' }
  return context?.endsAccess ? { reserve: 'small' } : {}
}

/** Reading goes on where the disk has no room for its record, which then waits. */
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
  context.commit = async (changes, { status = 200, operation }) => {
    const isOwn = operation !== undefined && operation.operationName !== context.operationName
    const { recorded } = context
    const written = await append(
      eventOf(isOwn ? { ...context, ...operation } : context, env, { route, status }),
      changes,
    )
    // A change beside the operation leaves the operation's own record still to be made.
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
      // Nobody is going to read it: a file or a model may wait behind it.
      await response?.body?.cancel().catch(() => undefined)
      // ADR 0023: of what nobody knows nothing is said.
      if (context.recorded !== 'Failed' && !(error instanceof CommitUnknown))
        await append(eventOf(context, env, { route, error }))
      throw error
    } finally {
      context.closed = true
    }
  })
}

/** Only refusals: who is let in is in the record of what they do. */
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

/** Records with a status, or of the service's own doing, are whole; the others are what a module commits with its changes. */
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

/** The code that says most: the cause behind the error, where one is known. */
export function innermostCode(error: AzureError): string {
  let inner = error.options.innererror
  while (inner?.innererror !== undefined) inner = inner.innererror
  return inner?.code ?? error.code
}
