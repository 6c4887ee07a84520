import type { Account } from './arm.ts'
import { arm, VERSIONS } from './arm.ts'
import { ApiError, call, send, type RequestOptions } from './http.ts'
import { accessToken } from './session.ts'

export interface OpenAiFile {
  readonly id: string
  readonly bytes: number
  readonly created_at: number
  readonly filename: string
  readonly purpose: string
  readonly status?: string
}

interface JobSettings {
  readonly hyperparameters?: Readonly<Record<string, number | string>>
}

export interface FineTuningJob {
  readonly id: string
  readonly model: string
  readonly status: string
  readonly created_at: number
  readonly finished_at?: number | null
  readonly fine_tuned_model?: string | null
  readonly training_file: string
  readonly validation_file?: string | null
  readonly result_files: readonly string[]
  readonly trained_tokens?: number | null
  readonly method?: {
    readonly type: string
    readonly supervised?: JobSettings
    readonly dpo?: JobSettings
  }
  readonly error?: { readonly code?: string; readonly message?: string } | null
}

export interface JobEvent {
  readonly id: string
  readonly created_at: number
  readonly level: string
  readonly message: string
  readonly type?: string
  readonly data?: Readonly<Record<string, number>> | null
}

export interface Checkpoint {
  readonly id: string
  readonly created_at: number
  readonly step_number: number
  readonly fine_tuned_model_checkpoint: string
  readonly metrics: Readonly<Record<string, number>>
}

/** A fine-tuned model of an account, or a base under one of its names. */
export interface Model {
  readonly id: string
  readonly created_at: number
  readonly capabilities?: { readonly fine_tune?: boolean }
  /** The base's own name; absent for a fine-tuned model. */
  readonly base_model?: string
}

const keys = new Map<string, Promise<string>>()

/** The account's first key, fetched from Resource Manager with the user's token and kept in memory only. */
function apiKey(account: Account): Promise<string> {
  const known = keys.get(account.id)
  if (known !== undefined) return known
  const asked = arm<{ key1: string }>(`${account.id}/listKeys`, VERSIONS.accounts, { method: 'POST' }).then(
    ({ key1 }) => key1,
  )
  keys.set(account.id, asked)
  asked.catch(() => keys.delete(account.id))
  return asked
}

/** After a key was regenerated. */
export const forgetKeys = (account: Account): boolean => keys.delete(account.id)

export async function openai<T>(account: Account, path: string, options: RequestOptions = {}): Promise<T> {
  return signed(account, headers => call<T>(openaiUrl(account, path), withHeaders(options, headers)))
}

/** For streams and downloads. */
export async function openaiSend(account: Account, path: string, options: RequestOptions = {}): Promise<Response> {
  return signed(account, headers => send(openaiUrl(account, path), withHeaders(options, headers)))
}

export const openaiUrl = (account: Account, path: string): string =>
  `${account.properties.endpoint.replace(/\/$/, '')}/openai/v1${path}`

type Headers = Readonly<Record<string, string>>

const withHeaders = (options: RequestOptions, headers: Headers): RequestOptions => ({
  ...options,
  headers: { ...options.headers, ...headers },
})

/**
 * Does something with the account's key, or with the user's own token where the account takes no keys. A refused key was
 * regenerated meanwhile, so the new one is fetched once.
 */
export async function signed<T>(account: Account, work: (headers: Headers) => Promise<T>): Promise<T> {
  if (account.properties.disableLocalAuth === true)
    return work({ authorization: `Bearer ${await accessToken('data')}` })
  const withKey = async (): Promise<T> => work({ 'api-key': await apiKey(account) })
  return withKey().catch((error: unknown) => {
    if (!(error instanceof ApiError) || error.status !== 401) throw error
    forgetKeys(account)
    return withKey()
  })
}

/** All of a list, page after page, up to `most`. */
export async function openaiList<T extends { readonly id: string }>(
  account: Account,
  path: string,
  most = 10_000,
): Promise<T[]> {
  const all: T[] = []
  for (let after = ''; all.length < most;) {
    const separator = path.includes('?') ? '&' : '?'
    const query = after === '' ? '' : `${separator}after=${encodeURIComponent(after)}`
    const page = await openai<{ data: T[]; has_more?: boolean }>(account, `${path}${query}`)
    all.push(...page.data)
    after = page.data.at(-1)?.id ?? ''
    if (page.has_more !== true || after === '') return all
  }
  return all
}

/** Saves a file of the account in the browser's download folder. @throws ApiError */
export async function downloadFile(account: Account, id: string, filename: string): Promise<void> {
  const blob = await (await openaiSend(account, `/files/${id}/content`)).blob()
  const link = document.createElement('a')
  link.href = URL.createObjectURL(blob)
  link.download = filename
  link.click()
  URL.revokeObjectURL(link.href)
}
