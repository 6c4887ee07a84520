import { AzureError } from '../http/errors.ts'
import type { Stored } from '../store/records.ts'

/** 500: a row names another owner or thing than its own id does. */
export function recordTampered(what: string): AzureError {
  return new AzureError(
    'DataCorrupted',
    500,
    `The record of ${what} was changed from outside: it names another owner, kind or id than its own. Restore the database from a backup.`,
    { headers: { 'x-should-retry': 'false' } },
  )
}

/**
 * K5: the account of the call decides what is opened, never a field of a row. A row whose value does not fit its id is not used.
 * @param idOf the id that a record with this value must have
 */
export function isInPlace<T extends { readonly accountId: string }>(
  { id, value }: Pick<Stored<T>, 'id' | 'value'>,
  accountId: string,
  idOf: (value: T) => string,
): boolean {
  return value.accountId === accountId && idOf(value) === id
}
