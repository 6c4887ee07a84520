import type { ErrorCode } from '../http/error-codes.ts'
import { Conflict } from '../http/errors.ts'
import { VersionConflict } from './records.ts'

/**
 * A VersionConflict as the 409 for its client; other errors as they are.
 * @param what begins the sentence, for example `The account`; `code` is the plane's
 */
export function conflictOf(error: unknown, what: string, code: ErrorCode = 'AnotherOperationInProgress'): unknown {
  if (!(error instanceof VersionConflict)) return error
  const message = `${what} was changed by someone else in the meantime. Read it again, then repeat the change.`
  return new Conflict(code, message, { cause: error })
}

/** The same for the `catch` of a commit. */
export function changedMeanwhile(what: string, code?: ErrorCode): (error: unknown) => never {
  return error => {
    throw conflictOf(error, what, code)
  }
}

/** For the `catch` of a commit that may be dropped when somebody else changed the record first. */
export function unlessConflict(error: unknown): void {
  if (!(error instanceof VersionConflict)) throw error
}
