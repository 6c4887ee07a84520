import type { ErrorDetail } from '../http/errors.ts'
import { collection } from '../store/records.ts'

/** Beyond the article: seals everything of an account anew under a new data key, for use after a compromise of the old one. */
export interface ReEncryption {
  readonly accountId: string
  readonly status: 'InProgress' | 'Succeeded' | 'Failed'
  /** Generation of the new data key. Earlier ones are destroyed at the end. */
  readonly generation: number
  /** ISO 8601. */
  readonly startedAt: string
  readonly endedAt?: string
  /** MiB of plaintext in a second; absent: no limit. */
  readonly mebibytesPerSecond?: number
  readonly blobs: { readonly total: number; readonly done: number }
  /** Bytes of plaintext. */
  readonly bytes: { readonly total: number; readonly done: number }
  /** Sealed records, such as losses of jobs. */
  readonly records: number
  /** Why it waits, while the customer's key is unavailable. */
  readonly waitingFor?: string
  /** Blobs that do not open, and so keep their former data key. */
  readonly failed: readonly { readonly blobId: string; readonly message: string }[]
}

/** By account id. */
export const reEncryptions = collection<ReEncryption>('accounts.re-encryptions')

/** In the form of Azure's asynchronous operations, with our fields in `properties`. */
export function showReEncryption(accountResourceId: string, state: ReEncryption): object {
  const { status, startedAt, endedAt, accountId: _, ...properties } = state
  const { blobs, bytes } = state
  const share = bytes.total === 0 ? blobs.done / Math.max(1, blobs.total) : bytes.done / bytes.total
  return {
    id: `${accountResourceId}/reEncryption`,
    name: 'reEncryption',
    status,
    percentComplete: status === 'Succeeded' ? 100 : Math.min(99, Math.floor(share * 100)),
    startTime: startedAt,
    ...(endedAt === undefined ? {} : { endTime: endedAt }),
    properties,
    ...(status === 'Failed' ? { error: failure(state) } : {}),
  }
}

function failure({ failed }: ReEncryption): ErrorDetail {
  const [first] = failed
  const message = `${failed.length} blobs do not open and keep their former data key: ${first?.message ?? ''} Restore or delete them, then start again.`
  return { code: 'DataCorrupted', message }
}
