import { accessToken, type Scope } from './session.ts'

/** One entry of `error.details`: for example one unmet requirement. */
export interface ErrorDetail {
  readonly code?: string
  readonly message: string
  readonly target?: string
}

/** A server's refusal: its message and the id of the request in its log. */
export class ApiError extends Error {
  readonly status: number
  readonly code: string
  readonly details: readonly ErrorDetail[]
  readonly requestId: string

  constructor(init: {
    status: number
    code: string
    message: string
    details?: readonly ErrorDetail[]
    requestId: string
  }) {
    super(init.message)
    this.name = 'ApiError'
    this.status = init.status
    this.code = init.code
    this.details = init.details ?? []
    this.requestId = init.requestId
  }
}

export interface RequestOptions {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly body?: unknown
  readonly scope?: Scope
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** Calls an API and returns the raw response. @throws ApiError when it is refused */
export async function send(url: string, options: RequestOptions = {}): Promise<Response> {
  const { scope } = options
  let response = await ask(url, options, scope && (await accessToken(scope)))
  if (response.status === 401 && scope !== undefined)
    response = await ask(url, options, await accessToken(scope, { renewed: true }))
  if (!response.ok) throw await refusal(response)
  return response
}

async function ask(url: string, options: RequestOptions, token: string | undefined): Promise<Response> {
  const { method = 'GET', body, signal } = options
  const headers = new Headers(options.headers)
  if (token !== undefined) headers.set('authorization', `Bearer ${token}`)
  const isForm = body instanceof FormData
  if (body !== undefined && !isForm) headers.set('content-type', 'application/json')
  const init: RequestInit = { method, headers, cache: 'no-store', ...(signal && { signal }) }
  if (body !== undefined) init.body = isForm ? body : JSON.stringify(body)
  return fetch(url, init).catch((error: unknown) => {
    if (signal?.aborted === true) throw error
    throw new ApiError({
      status: 0,
      code: 'Unreachable',
      message: `${new URL(url).host} can't be reached. Is the cloud running, and does this browser trust its certificate?`,
      requestId: '',
    })
  })
}

/** Calls an API and parses its JSON; undefined where it sent none. */
export async function call<T>(url: string, options: RequestOptions = {}): Promise<T> {
  const response = await send(url, options)
  const text = await response.text()
  return (text === '' ? undefined : JSON.parse(text)) as T
}

/** All pages of a list. */
export async function listAll<T>(url: string, options: RequestOptions = {}): Promise<T[]> {
  const all: T[] = []
  let next: string | undefined = url
  for (let page = 0; next !== undefined && next !== '' && page < 200; page += 1) {
    const answer: { value: T[]; nextLink?: string | null } = await call(next, options)
    all.push(...answer.value)
    next = answer.nextLink ?? undefined
  }
  return all
}

async function refusal(response: Response): Promise<ApiError> {
  const { status, headers } = response
  const requestId = requestIdOf(headers)
  const text = await response.text().catch(() => '')
  try {
    const { error } = JSON.parse(text) as {
      error: { code?: string; message?: string; details?: ErrorDetail[]; innererror?: { message?: string } }
    }
    const { code = String(status), message = response.statusText, details = [] } = error
    return new ApiError({ status, code, message, details, requestId })
  } catch {
    return new ApiError({ status, code: String(status), message: text.slice(0, 500) || `HTTP ${status}`, requestId })
  }
}

/** The id of the request in the server's log. */
export const requestIdOf = (headers: Headers): string =>
  headers.get('x-ms-request-id') ?? headers.get('apim-request-id') ?? headers.get('x-request-id') ?? ''
