import type { ErrorDetail } from '../http/errors.ts'
import { collection } from '../store/records.ts'

/** Beyond the article: everything of an account sealed anew under a new data key, for after a compromise of the old one. */
export interface ReEncryption {
  readonly accountId: string
  readonly status: 'InProgress' | 'Succeeded' | 'Failed'
  /** Of the new data key; those before it are destroyed at the end. */
  readonly generation: number
  /** ISO 8601. */
  readonly startedAt: string
  readonly endedAt?: string
  /** MiB of plaintext in a second; absent: as fast as it goes. */
  readonly mebibytesPerSecond?: number
  readonly blobs: { readonly total: number; readonly done: number }
  /** Of plaintext. */
  readonly bytes: { readonly total: number; readonly done: number }
  /** Jobs' losses. */
  readonly records: number
  /** Why it waits, while the customer's key is unavailable. */
  readonly waitingFor?: string
  /** Blobs that do not open, and so keep their former data key. */
  readonly failed: readonly { readonly blobId: string; readonly message: string }[]
}

/** By account id. */
export const reEncryptions = collection<ReEncryption>('accounts.re-encryptions')

/** As Azure shows asynchronous operations, with what is ours in `properties`. */
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
