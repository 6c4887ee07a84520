import { call, listAll, type RequestOptions } from './http.ts'

const VERSION = '7.6'

export interface KeyAttributes {
  readonly enabled: boolean
  readonly created: number
  readonly updated: number
  readonly nbf?: number
  readonly exp?: number
  readonly recoveryLevel?: string
  readonly recoverableDays?: number
}

export interface KeyItem {
  readonly kid: string
  readonly attributes: KeyAttributes
  readonly tags?: Readonly<Record<string, string>>
  readonly managed?: boolean
}

export interface KeyBundle {
  readonly key: {
    readonly kid: string
    readonly kty: string
    readonly key_ops?: readonly string[]
    readonly n?: string
    readonly crv?: string
  }
  readonly attributes: KeyAttributes
  readonly tags?: Readonly<Record<string, string>>
}

export interface DeletedKey extends KeyItem {
  readonly recoveryId: string
  readonly deletedDate: number
  readonly scheduledPurgeDate?: number
}

export interface RotationPolicy {
  readonly id?: string
  readonly lifetimeActions?: readonly {
    readonly trigger: { readonly timeAfterCreate?: string | null; readonly timeBeforeExpiry?: string | null }
    readonly action: { readonly type: string }
  }[]
  readonly attributes?: { readonly expiryTime?: string | null }
}

/** `path` below a vault, for example `/keys`. */
export function vault<T>(vaultUri: string, path: string, options: RequestOptions = {}): Promise<T> {
  return call<T>(vaultUrl(vaultUri, path), { scope: 'vault', ...options })
}

export function vaultList<T>(vaultUri: string, path: string): Promise<T[]> {
  return listAll<T>(vaultUrl(vaultUri, path), { scope: 'vault' })
}

function vaultUrl(vaultUri: string, path: string): string {
  return `${vaultUri.replace(/\/$/, '')}${path}?api-version=${VERSION}`
}

/** Name and version of a key identifier; the version is empty where it has none. */
export function kidParts(kid: string): { vaultUri: string; name: string; version: string } {
  const url = new URL(kid)
  const [, , name = '', version = ''] = url.pathname.split('/')
  return { vaultUri: `${url.origin}/`, name, version }
}
