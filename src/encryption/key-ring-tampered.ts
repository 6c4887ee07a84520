import { AzureError } from '../http/errors.ts'

/** 500: rows, state and settings of a key ring contradict each other, or are not what this service wrote. */
export class KeyRingTampered extends AzureError {
  constructor(why: string) {
    super(
      'KeyRingTampered',
      500,
      `The account's data keys can't be used: ${why}. The database was changed from outside: restore it from a backup.`,
      // Clients repeat after a 500 unless they are told not to, and repeating does not help here.
      { headers: { 'x-should-retry': 'false' } },
    )
    this.name = 'KeyRingTampered'
  }
}
