import { AsyncLocalStorage } from 'node:async_hooks'
import type { Call } from '../http/route.ts'

/** What is known of the operation that a request asks for, while it runs. */
export interface RequestContext {
  readonly call: Call
  readonly started: number
  operationName?: string
  resourceId?: string
  /** What else the record says; never a secret. */
  properties?: Readonly<Record<string, unknown>>
  /** A part of an operation that was recorded already: the next page of a list that a client follows. */
  unrecorded?: true
  /** How the last record that the operation wrote by itself ended. */
  recorded?: 'Success' | 'Failed'
  /** The answer is out: what happens from now on is the service's own doing. */
  closed?: true
}

/** Carries the request to where its changes are committed, so that both make one record (R05). */
export const requestContext = new AsyncLocalStorage<RequestContext>()

/** Says what the request that runs now is about, in Azure's words; what was said first stays. Nothing outside of a request. */
export function noteOperation(
  note: Pick<RequestContext, 'operationName' | 'resourceId' | 'properties' | 'unrecorded'>,
): void {
  const context = requestContext.getStore()
  if (context === undefined) return
  if (note.operationName !== undefined) context.operationName ??= note.operationName
  if (note.resourceId !== undefined) context.resourceId ??= note.resourceId
  if (note.properties !== undefined) context.properties = { ...context.properties, ...note.properties }
  if (note.unrecorded) context.unrecorded = true
}
