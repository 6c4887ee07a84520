import type { RecordStore } from '../store/records.ts'
import { resourceNotFound } from './aadsts.ts'
import { audienceOf } from './audiences.ts'
import { applications, applicationsByUri } from './records.ts'
import { trimEnd } from '../base/trim.ts'

/** The service or application that a token is for. */
export interface TokenResource {
  /** The `aud` claim. */
  readonly audience: string
  /** Version of its tokens. Our own services take version 1, as Azure's do. */
  readonly version: 1 | 2
}

/** A service of this cloud, or an application of the tenant by id or identifier URI. @throws AADSTS500011 */
export type FindResource = (resource: string, tenantId: string) => Promise<TokenResource>

export function resourceFinder(records: RecordStore, domain: string): FindResource {
  return async (resource, tenantId) => {
    const plain = trimEnd(resource, '/')
    if (audienceOf(plain, domain) !== undefined) return { audience: plain, version: 1 }
    const appId = await applicationOf(records, plain.toLowerCase(), tenantId)
    const found = appId === undefined ? undefined : (await records.get(applications, appId))?.value
    if (found?.tenantId !== tenantId) throw resourceNotFound(resource, tenantId)
    const version = found.requestedAccessTokenVersion ?? 1
    return { audience: version === 2 ? found.appId : plain, version }
  }
}

async function applicationOf(records: RecordStore, name: string, tenantId: string): Promise<string | undefined> {
  if (/^[0-9a-f-]{36}$/.test(name)) return name
  if (name.length > 256 || !/^api:\/\/[\w./-]+$/.test(name)) return undefined
  return (await records.get(applicationsByUri, uriKey(tenantId, name)))?.value.appId
}

export function uriKey(tenantId: string, uri: string): string {
  return `${tenantId} ${uri.toLowerCase()}`
}
