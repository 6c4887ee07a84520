import { AsyncLocalStorage } from 'node:async_hooks'
import type { PipelinePolicy, PipelineResponse } from '@azure/core-rest-pipeline'
import { retryAfterMs } from './vault-waits.ts'

/** The last answer of a vault within one operation. */
export interface VaultAnswer {
  readonly status: number
  /** The vault's error object, if the body has one. */
  readonly error: VaultErrorBody | undefined
  /** Milliseconds after which it wants to be asked again, if it says so. */
  readonly retryAfterMs: number | undefined
  /** Whether the request had a token. A 401 to a request without one is only the challenge. */
  readonly hadToken: boolean
  /** The tenants of the challenge and of the token, where they can be read. */
  readonly tenantAsked: string | undefined
  readonly tenantOfToken: string | undefined
}

export interface VaultErrorBody {
  readonly code?: string
  readonly message?: string
  readonly innererror?: { readonly code?: string }
}

/** What a vault answered while one operation ran. */
export interface Conversation {
  last: VaultAnswer | undefined
  /** Ends the operation at once, because it can't get a token. */
  readonly fail: (error: unknown) => void
}

const conversations = new AsyncLocalStorage<Conversation>()

/** Runs an operation and keeps the vault's answer, since the SDK's errors lack the inner code or have no answer at all. */
export function listening<T>(to: Conversation, operation: () => Promise<T>): Promise<T> {
  return conversations.run(to, operation)
}

/** The current operation. */
export function conversation(): Conversation | undefined {
  return conversations.getStore()
}

/** Sees each attempt, so it goes below retries and authentication. */
export const keepAnswers: PipelinePolicy = {
  name: 'ownkeyKeepAnswers',
  sendRequest: async (request, next) => {
    const present = conversation()
    // An attempt without an answer counts as not answered, whatever an earlier attempt got.
    if (present !== undefined) present.last = undefined
    const response = await next(request)
    if (present !== undefined) present.last = answerOf(response)
    return response
  },
}

/** Far more bytes than a key, a wrapped key or an error has. */
const MOST_BYTES = 256 * 1024

/** Breaks off an answer that is too long for a vault's, so that the operator of a vault can't fill this process's memory. */
export const shortAnswers: PipelinePolicy = {
  name: 'ownkeyShortAnswers',
  sendRequest: async (request, next) => {
    let isTooLong = false
    request.onDownloadProgress = ({ loadedBytes }) => {
      isTooLong = loadedBytes > MOST_BYTES
      if (isTooLong) throw new Error('The answer is too long.')
    }
    try {
      return await next(request)
    } catch (error) {
      const present = conversation()
      // It is not a silence, and says nothing about the key.
      if (isTooLong && present !== undefined) present.last = UNREADABLE
      throw error
    }
  },
}

const UNREADABLE: VaultAnswer = {
  status: 200,
  error: undefined,
  retryAfterMs: undefined,
  hadToken: true,
  tenantAsked: undefined,
  tenantOfToken: undefined,
}

function answerOf({ status, headers, bodyAsText, request }: PipelineResponse): VaultAnswer {
  const token = /^Bearer (.+)$/i.exec(request.headers.get('authorization') ?? '')?.[1]
  return {
    status,
    error: status < 400 ? undefined : errorBody(bodyAsText),
    retryAfterMs: retryAfterMs(headers),
    hadToken: token !== undefined,
    tenantAsked: tenantOfChallenge(headers.get('www-authenticate')),
    tenantOfToken: token === undefined ? undefined : tenantOf(token),
  }
}

function errorBody(text: string | null | undefined): VaultErrorBody | undefined {
  const { error } = (parsed(text) ?? {}) as { error?: unknown }
  if (typeof error !== 'object' || error === null) return undefined
  const { code, message, innererror } = error as { code?: unknown; message?: unknown; innererror?: unknown }
  const { code: inner } = (innererror ?? {}) as { code?: unknown }
  return {
    ...(typeof code === 'string' ? { code: code.slice(0, 100) } : {}),
    ...(typeof message === 'string' ? { message: message.slice(0, 1000) } : {}),
    ...(typeof inner === 'string' ? { innererror: { code: inner.slice(0, 100) } } : {}),
  }
}

function parsed(text: string | null | undefined): unknown {
  try {
    return JSON.parse(text ?? '')
  } catch {
    return undefined
  }
}

/** `Bearer authorization="https://login.example/TENANT"`: its first path segment, when it is an id. */
function tenantOfChallenge(header: string | undefined): string | undefined {
  const authority = /\bauthorization(?:_uri)?="?([^",\s]{1,500})/i.exec(header ?? '')?.[1]
  const tenant = URL.parse(authority ?? '')?.pathname.split('/')[1]
  return tenant !== undefined && /^[0-9a-f-]{36}$/i.test(tenant) ? tenant.toLowerCase() : undefined
}

function tenantOf(token: string): string | undefined {
  const { tid } = (parsed(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) ?? {}) as { tid?: unknown }
  return typeof tid === 'string' ? tid.toLowerCase() : undefined
}
