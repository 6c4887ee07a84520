import { AzureError } from '../http/errors.ts'
import type { Call } from '../http/route.ts'
import type { Stored } from '../store/records.ts'

/** A strong entity tag (RFC 9110, 8.8.3), which changes with each write of the record. */
export function etagOf(stored: Pick<Stored<unknown>, 'version'>): string {
  return `"${stored.version.toString(16).padStart(16, '0')}"`
}

/**
 * Checks `If-Match` and `If-None-Match` of a call that writes against the current record (undefined: there is none).
 * @throws 412 PreconditionFailed
 */
export function checkPreconditions(call: Call, stored: Pick<Stored<unknown>, 'version'> | undefined): void {
  const match = call.headers.get('if-match')
  if (match !== null && !lists(match, stored)) {
    throw new AzureError(
      'PreconditionFailed',
      412,
      'The If-Match header does not fit: the resource was changed since you read it, or does not exist. Read it again, then repeat the change.',
    )
  }
  const none = call.headers.get('if-none-match')
  if (none !== null && lists(none, stored)) {
    throw new AzureError(
      'PreconditionFailed',
      412,
      'The If-None-Match header does not fit: the resource exists already.',
    )
  }
}

/** Whether the reader has this state already, so the answer is 304. */
export function isUnchanged(call: Call, stored: Pick<Stored<unknown>, 'version'>): boolean {
  const none = call.headers.get('if-none-match')
  return none !== null && lists(none, stored)
}

function lists(header: string, stored: Pick<Stored<unknown>, 'version'> | undefined): boolean {
  if (stored === undefined) return false
  const tags = header.split(',').map(tag => tag.trim().replace(/^W\//, ''))
  return tags.some(tag => tag === '*' || tag === etagOf(stored) || `"${tag}"` === etagOf(stored))
}
