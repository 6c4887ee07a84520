import { AsyncLocalStorage } from 'node:async_hooks'
import type { Call } from '../http/route.ts'
import type { Change, CommitOptions, RecordStore, Written } from '../store/records.ts'

/** What is known about the operation of a request, while it runs. */
export interface RequestContext {
  readonly call: Call
  readonly started: number
  operationName?: string
  resourceId?: string
  /** Further fields of the record; never a secret. */
  properties?: Readonly<Record<string, unknown>>
  /** Part of an operation that was recorded already, such as the next page of a list that a client follows. */
  unrecorded?: true
  /** It may take access away, which must work on a full disk: see CommitOptions.reserve. */
  endsAccess?: true
  /** It deletes something, though its method is not DELETE: see CommitOptions.reserve. */
  deletes?: true
  /** The result of the last record that the operation wrote itself. */
  recorded?: 'Success' | 'Failed'
  /** Writes changes and the record of the request in one commit. Set by the code that makes the record. */
  commit?: (changes: readonly Change[], recorded: Recorded) => Promise<readonly Written[]>
  /** The answer was sent: from now on the service acts by itself. */
  closed?: true
}

/** Carries the request to the place where its changes are committed, so that both make one record (R05). */
export const requestContext = new AsyncLocalStorage<RequestContext>()

/** What the record of a change says. */
export interface Recorded {
  /** The status of the response; default 200. */
  readonly status?: number
  /** Given: the change is an operation of its own, beside what the request asked for (a key that was due, a password at a sign-in). */
  readonly operation?: { readonly operationName: string; readonly resourceId?: string }
  /** Default: what the request may use. */
  readonly reserve?: CommitOptions['reserve']
}

/** Commits changes, in a request together with its record: neither exists without the other. @throws VersionConflict */
export function commitRecorded(
  records: Pick<RecordStore, 'commit'>,
  changes: readonly Change[],
  recorded: Recorded = {},
): Promise<readonly Written[]> {
  return committerOf(requestContext.getStore(), records)(changes, recorded)
}

/** The same for a change that another task makes while the request that asked for it waits. */
export function committerOfRequest(
  records: Pick<RecordStore, 'commit'>,
  recorded: Recorded = {},
): (changes: readonly Change[]) => Promise<readonly Written[]> {
  const context = requestContext.getStore()
  return changes => committerOf(context, records)(changes, recorded)
}

function committerOf(context: RequestContext | undefined, records: Pick<RecordStore, 'commit'>) {
  return (changes: readonly Change[], recorded: Recorded): Promise<readonly Written[]> =>
    context?.commit === undefined || context.closed
      ? records.commit(changes, recorded.reserve === undefined ? {} : { reserve: recorded.reserve })
      : context.commit(changes, recorded)
}

/** Says what the current request is about, in Azure's words. The first call wins. Outside of a request it does nothing. */
export function noteOperation(
  note: Pick<RequestContext, 'operationName' | 'resourceId' | 'properties' | 'unrecorded' | 'endsAccess' | 'deletes'>,
): void {
  const context = requestContext.getStore()
  if (context === undefined) return
  if (note.operationName !== undefined) context.operationName ??= note.operationName
  if (note.resourceId !== undefined) context.resourceId ??= note.resourceId
  if (note.properties !== undefined) context.properties = { ...context.properties, ...note.properties }
  if (note.unrecorded) context.unrecorded = true
  if (note.endsAccess) context.endsAccess = true
  if (note.deletes) context.deletes = true
}
