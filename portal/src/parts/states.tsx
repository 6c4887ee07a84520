import {
  Button,
  MessageBar,
  MessageBarActions,
  MessageBarBody,
  MessageBarTitle,
  Spinner,
} from '@fluentui/react-components'
import type { UseQueryResult } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { ApiError } from '../api/http.ts'

export function Loading({ what }: { what: string }) {
  return (
    <div className="empty">
      <Spinner label={`Loading ${what}…`} />
    </div>
  )
}

/** The server's message, and the id of the request in its log. */
export function Failure({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const api = error instanceof ApiError ? error : undefined
  // A single detail often only repeats the message.
  const details = (api?.details ?? []).filter(
    ({ message }) => api?.message.includes(message) !== true || api.details.length > 1,
  )
  return (
    <MessageBar intent="error" layout="multiline" role="alert" className="spaced">
      <MessageBarBody>
        <MessageBarTitle>{api?.code ?? 'Something went wrong'}</MessageBarTitle>
        {error instanceof Error ? error.message : String(error)}
        {api !== undefined && details.length > 0 && (
          <ul>
            {details.map(detail => (
              <li key={`${detail.code} ${detail.message}`}>
                {detail.code !== undefined && <strong>{detail.code}: </strong>}
                {detail.message}
              </li>
            ))}
          </ul>
        )}
        {api !== undefined && (
          <div className="small muted">
            {api.requestId === '' ? 'No answer came, so there is no request id.' : `Request id ${api.requestId}`}
          </div>
        )}
      </MessageBarBody>
      {onRetry !== undefined && (
        <MessageBarActions>
          <Button onClick={onRetry}>Try again</Button>
        </MessageBarActions>
      )}
    </MessageBar>
  )
}

/** Shows the result of a query, or its state. */
export function Loaded<T>({
  query,
  what,
  children,
}: {
  query: UseQueryResult<T>
  what: string
  children: (data: T) => ReactNode
}) {
  if (query.data !== undefined) {
    return (
      <>
        {query.error !== null && <Failure error={query.error} onRetry={() => void query.refetch()} />}
        {children(query.data)}
      </>
    )
  }
  if (query.error !== null) return <Failure error={query.error} onRetry={() => void query.refetch()} />
  return <Loading what={what} />
}

export function Empty({ children }: { children: ReactNode }) {
  return <div className="empty">{children}</div>
}
